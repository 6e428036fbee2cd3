//! `simulations all`: what `make sim` runs. `simulations run`: many seeds of one pace, each twice. `simulations replay --seed N`:
//! one of them. The last line is one JSON object.
#![forbid(unsafe_code)]

use anyhow::{Context, bail};
use everypath_protocol::time::Span;
use simulations::pace::{Pace, Size};
use simulations::report::{SeedReport, Summary, run, run_once, summarise};
use std::process::ExitCode;

const USAGE: &str = "usage: simulations all
       simulations run [--pace mesh|keeping|returning] [--seeds 20] [--first 1] [--agents 50] [--hours 2]
       simulations replay --seed N [--pace mesh|keeping|returning] [--agents 50] [--hours 2]";

struct Options {
    seeds: u64,
    first: u64,
    agents: usize,
    hours: u64,
    pace: Pace,
}

fn main() -> anyhow::Result<ExitCode> {
    let mut words = std::env::args().skip(1);
    let verb = words.next().unwrap_or_default();
    let options = parse(words)?;
    let size = Size { agents: options.agents, length: Span::seconds(options.hours * 3_600), pace: options.pace };
    match verb.as_str() {
        "all" => Ok(run_everything()),
        "run" => {
            let summary = run_all(&options, size);
            say(&json(&summary));
            Ok(if summary.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        "replay" => {
            say(&format!("{:#?}", run_once(options.first, size, None)));
            Ok(ExitCode::SUCCESS)
        }
        _ => bail!("{USAGE}"),
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> anyhow::Result<Options> {
    let mut options = Options { seeds: 20, first: 1, agents: 50, hours: 2, pace: Pace::Mesh };
    while let Some(name) = words.next() {
        let value = words.next().with_context(|| format!("{name} needs a value\n{USAGE}"))?;
        if name == "--pace" {
            options.pace = match value.as_str() {
                "mesh" => Pace::Mesh,
                "keeping" => Pace::Keeping,
                "returning" => Pace::Returning,
                _ => bail!("--pace {value}: there are mesh, keeping and returning\n{USAGE}"),
            };
            continue;
        }
        let number: u64 = value.parse().with_context(|| format!("{name} {value}: not a number\n{USAGE}"))?;
        match name.as_str() {
            "--seeds" => options.seeds = number,
            "--first" | "--seed" => options.first = number,
            "--agents" => options.agents = usize::try_from(number)?,
            "--hours" => options.hours = number,
            _ => bail!("{name} is not known\n{USAGE}"),
        }
    }
    if options.agents < 2 || options.hours < 1 {
        bail!("a run needs at least 2 agents and 1 hour");
    }
    Ok(options)
}

/// Days of faults for many agents on islands, and hours of one whole mesh.
fn run_everything() -> ExitCode {
    let keeping = Options { seeds: 20, first: 1, agents: 200, hours: 24, pace: Pace::Keeping };
    let mesh = Options { seeds: 6, first: 1, agents: 50, hours: 2, pace: Pace::Mesh };
    let of = |options: &Options| {
        let length = Span::seconds(options.hours * 3_600);
        run_all(options, Size { agents: options.agents, length, pace: options.pace })
    };
    let (keeping, mesh) = (of(&keeping), of(&mesh));
    say(&format!("{{\"keeping\":{},\"mesh\":{}}}", json(&keeping), json(&mesh)));
    if keeping.is_clean() && mesh.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn json(summary: &Summary) -> String {
    serde_json::to_string(summary).expect("a summary can always be written")
}

fn run_all(options: &Options, size: Size) -> Summary {
    #[expect(clippy::disallowed_methods, reason = "how fast the run was, for people; the run itself has its own time")]
    let began = std::time::Instant::now();
    let reports = run(options.first, options.seeds, size, |SeedReport { seed, outcome, is_deterministic }| {
        let findings = outcome.findings;
        say(&format!(
            "seed {seed}: {} records, {} dropped, lost {}, duplicated {}, gaps {}, crashes {}, partitions {}, {} events, state {:016x}{}",
            findings.records,
            findings.dropped,
            findings.lost,
            findings.duplicated,
            findings.silent_gaps,
            outcome.crashes,
            outcome.partitions,
            outcome.events,
            outcome.state_hash,
            if *is_deterministic { "" } else { " — THE SECOND RUN DIFFERED" },
        ));
    });
    summarise(&reports, size, began.elapsed().as_secs_f64())
}

#[expect(clippy::print_stdout, reason = "what this program is for")]
fn say(line: &str) {
    println!("{line}");
}
