use super::{Mesh, Random, SITES, host, site};
use crate::incident::{Class, Finding, Rules, Subject, classify};
use alloc::borrow::ToOwned;
use alloc::vec::Vec;

fn classes(findings: &[Finding]) -> Vec<(Class, Subject)> {
    findings.iter().map(|finding| (finding.class, finding.subject.clone())).collect()
}

#[test]
fn a_dead_host_is_one_finding() {
    for seed in 0..30 {
        let mut mesh = Mesh::sparse(seed);
        let dead = Random(seed).below(200);
        mesh.kill(dead);
        assert_eq!(classes(&mesh.findings()), [(Class::HostDown, host(dead))], "seed {seed}");
    }
}

#[test]
fn a_cut_site_is_one_finding_heard_or_not() {
    for seed in 0..30 {
        let mut mesh = Mesh::sparse(seed);
        let cut = Random(seed).below(12);
        mesh.cut(cut);
        assert_eq!(classes(&mesh.findings()), [(Class::SiteCut, site(cut))], "seed {seed}");
        mesh.silence_site(cut);
        assert_eq!(classes(&mesh.findings()), [(Class::SiteCut, site(cut))], "seed {seed}, silent");
    }
}

#[test]
fn a_pair_of_sites_and_a_dead_host_elsewhere_are_two() {
    for seed in 0..30 {
        let mut mesh = Mesh::sparse(seed);
        let site_of = mesh.site_of.clone();
        mesh.down(|source, target| {
            site_of[source].min(site_of[target]) == 2 && site_of[source].max(site_of[target]) == 9
        });
        mesh.kill(3);
        let mut found = classes(&mesh.findings());
        found.sort();
        let cut = Subject::SitePair(SITES[2].to_owned(), SITES[9].to_owned());
        assert_eq!(found, [(Class::SitePairCut, cut), (Class::HostDown, host(3))], "seed {seed}");
    }
}

#[test]
fn an_isolated_observer_is_one_finding() {
    for seed in 0..30 {
        let mut mesh = Mesh::sparse(seed);
        let isolated = Random(seed).below(200);
        mesh.isolate(isolated);
        assert_eq!(classes(&mesh.findings()), [(Class::Isolated, host(isolated))], "seed {seed}");
    }
}

#[test]
fn on_an_island_the_silence_of_all_others_is_part_of_the_cut() {
    for seed in 0..30 {
        let mut mesh = Mesh::sparse(seed);
        let cut = Random(seed).below(12);
        mesh.cut(cut);
        (0..12).filter(|other| *other != cut).for_each(|other| mesh.silence_site(other));
        // An agent judges its own island, and is never blind.
        let rules = Rules { blind_permille: 1_001, ..Rules::default() };
        let found = classify(&mesh.snapshot(), &rules);
        assert_eq!(classes(&found), [(Class::SiteCut, site(cut))], "seed {seed}");
        assert_eq!(found[0].silent.len(), mesh.silent.len(), "seed {seed}");
    }
}

#[test]
fn an_agent_alone_is_isolated_and_says_no_more() {
    for seed in 0..30 {
        let mut mesh = Mesh::sparse(seed);
        let alone = Random(seed).below(200);
        (0..200).filter(|other| *other != alone).for_each(|other| mesh.silence(other));
        mesh.isolate(alone);
        let rules = Rules { blind_permille: 1_001, ..Rules::default() };
        assert_eq!(classes(&classify(&mesh.snapshot(), &rules)), [(Class::Isolated, host(alone))], "seed {seed}");
    }
}
