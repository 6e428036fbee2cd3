//! The embedded dashboard, or the page that stands in for it.

use crate::world::World;

#[tokio::test]
async fn every_address_that_is_no_file_shows_the_page() {
    let world = World::new().await;
    let page = world.get("/", &[]).await;
    assert_eq!(
        (page.status.as_u16(), &page.headers["content-type"]),
        (200, &"text/html; charset=utf-8".parse().expect("a value"))
    );
    assert_eq!(page.headers["cache-control"], "no-cache");
    assert_eq!(world.get("/matrix/of/everything", &[]).await.body, page.body);
}

#[tokio::test]
async fn what_was_not_found_is_not_the_page() {
    let world = World::new().await;
    assert_eq!(world.get("/assets/gone.js", &[]).await.status, 404);
    assert_eq!(world.get("/api/v2/agents", &[]).await.problem(), (404, "not_found".into()));
    let post = world.call(axum::http::Method::POST, "/", &[], axum::body::Body::empty()).await;
    assert_eq!(post.status, 405);
}

#[tokio::test]
async fn a_page_that_the_browser_has_is_not_sent_again() {
    let world = World::new().await;
    let etag = world.get("/", &[]).await.headers["etag"].to_str().expect("text").to_owned();
    let again = world.get("/", &[("if-none-match", &etag)]).await;
    assert_eq!((again.status.as_u16(), again.body.len()), (304, 0));
}

#[tokio::test]
async fn every_answer_tells_the_browser_to_be_careful() {
    let world = World::new().await;
    for path in ["/", "/api/v1/agents", "/healthz", "/assets/gone.js"] {
        let headers = world.get(path, &[]).await.headers;
        assert!(
            headers["content-security-policy"].to_str().expect("text").contains("frame-ancestors 'none'"),
            "{path}"
        );
        assert!(headers["content-security-policy"].to_str().expect("text").starts_with("default-src 'self'"), "{path}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["referrer-policy"], "no-referrer", "{path}");
    }
}
