use super::*;
use everypath_config::Sources;

/// A start without the key drew another one, which is nobody's, and then blamed the membership.
#[tokio::test]
async fn a_member_without_its_key_is_told_so_and_no_other_key_is_drawn() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("agent");
    let founding = crate::founding::Founding {
        data_dir: data_dir.clone(),
        name: "a1".to_owned(),
        site: "alpha".to_owned(),
        uses: 1,
        expires: Duration::from_secs(60),
        listen: "127.0.0.1:7117".parse().unwrap(),
        advertise: Vec::new(),
    };
    crate::founding::found(&founding).await.unwrap();
    let key = data_dir.join(AGENT_KEY);
    std::fs::remove_file(&key).unwrap();
    let mut sources = Sources::default();
    sources.flag_if("data_dir", Some(&data_dir.display()));
    let refused = start(&Config::load(&sources).unwrap()).await.unwrap_err().to_string();
    assert!(refused.contains("agent.key is missing") && refused.contains("Restore it"), "{refused}");
    assert!(!key.exists());
}
