//! One pair over time: which table answers a question, and the answer in the steps that were asked for.

use crate::rollup::{Bucket, Level, floor};
use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::vec::Vec;
use everypath_protocol::time::{Span, UnixTime};

/// Most points in an answer.
pub const POINTS_MAX: u64 = 10_000;
/// Most windows that are read one by one: ten seconds each, this is more than a day.
pub const SAMPLES_SPAN_MAX: Span = Span::seconds(26 * 3_600);
/// Most rows that are read for one answer: what a pair has in a day, or in a decade of hours, several times over.
pub const ROWS_MAX: u64 = 200_000;

/// Where rows are read from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Source {
    /// Windows as agents closed them.
    Samples,
    /// Sums.
    Rollup(Level),
}

impl Source {
    /// The word in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Samples => "samples",
            Self::Rollup(level) => level.name(),
        }
    }
}

/// A checked question.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Question {
    /// First moment; a multiple of the step.
    pub from: UnixTime,
    /// First moment that is not asked for; a multiple of the step.
    pub to: UnixTime,
    /// Distance of two points.
    pub step: Span,
}

/// Why a question has no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unanswerable {
    /// The range ends before it begins.
    Backwards,
    /// The step is shorter than a second or not whole seconds.
    Step,
    /// More than [`SAMPLES_SPAN_MAX`] in steps that no rollup can answer.
    TooFine,
    /// It would be more than [`POINTS_MAX`] points.
    TooMany {
        /// The shortest step that is possible.
        step: Span,
    },
}

impl core::fmt::Display for Unanswerable {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Backwards => out.write_str("the range ends before it begins; `from` must be before `to`"),
            Self::Step => out.write_str("the step must be whole seconds, at least 1s"),
            Self::TooFine => write!(
                out,
                "a range of more than {} hours needs a step of whole minutes, such as 60s",
                SAMPLES_SPAN_MAX.as_seconds() / 3_600
            ),
            Self::TooMany { step } => write!(
                out,
                "that would be more than {POINTS_MAX} points; ask for a shorter range or a step of at least {}s",
                step.as_seconds()
            ),
        }
    }
}

impl core::error::Error for Unanswerable {}

impl Question {
    /// Checks a range and a step, and widens the range to whole steps.
    ///
    /// # Errors
    /// [`Unanswerable`].
    pub fn new(from: UnixTime, to: UnixTime, step: Span) -> Result<Self, Unanswerable> {
        if from >= to {
            return Err(Unanswerable::Backwards);
        }
        if step < Span::seconds(1) || !step.0.is_multiple_of(Span::seconds(1).0) {
            return Err(Unanswerable::Step);
        }
        let from = floor(from, step);
        let to = floor(to.plus(step).minus(Span::micros(1)), step);
        let range = to.since(from);
        if range.0.div_ceil(step.0) > POINTS_MAX {
            let seconds = range.0.div_ceil(POINTS_MAX).div_ceil(Span::seconds(1).0);
            return Err(Unanswerable::TooMany { step: Span::seconds(seconds) });
        }
        let question = Self { from, to, step };
        if question.level().is_none() && range > SAMPLES_SPAN_MAX {
            return Err(Unanswerable::TooFine);
        }
        Ok(question)
    }

    /// The coarsest rollup whose buckets fit into the step: it has the fewest rows.
    fn level(&self) -> Option<Level> {
        Level::ALL.into_iter().rev().find(|level| self.step.0.is_multiple_of(level.span().0))
    }

    /// What answers it: a rollup, to which what is not summed yet is added, or the samples alone.
    pub fn source(&self) -> Source {
        self.level().map_or(Source::Samples, Source::Rollup)
    }
}

/// More than [`ROWS_MAX`] rows answer a question.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooManyRows;

impl core::fmt::Display for TooManyRows {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            out,
            "that would be more than {ROWS_MAX} rows to read; ask for a shorter range or a step of whole hours or days"
        )
    }
}

impl core::error::Error for TooManyRows {}

/// An answer that grows row by row, so that nobody holds all rows at once: it is as large as its points.
#[derive(Clone, Debug)]
pub struct Folding {
    question: Question,
    steps: BTreeMap<UnixTime, Bucket>,
    rows: u64,
}

impl Folding {
    /// Nothing yet.
    pub const fn new(question: Question) -> Self {
        Self { question, steps: BTreeMap::new(), rows: 0 }
    }

    /// Adds a row, in any order. One outside of the range is left out.
    ///
    /// # Errors
    /// [`TooManyRows`]; whoever reads must stop.
    pub fn add(&mut self, time: UnixTime, bucket: Bucket) -> Result<(), TooManyRows> {
        if time >= self.question.from && time < self.question.to {
            self.rows += 1;
            if self.rows > ROWS_MAX {
                return Err(TooManyRows);
            }
            match self.steps.entry(floor(time, self.question.step)) {
                Entry::Vacant(step) => drop(step.insert(bucket)),
                Entry::Occupied(mut step) => step.get_mut().merge(&bucket),
            }
        }
        Ok(())
    }

    /// How many rows were added.
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// The points, ascending; a step without a row has none: not measured is not loss.
    pub fn points(self) -> Vec<(UnixTime, Bucket)> {
        self.steps.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime(1_800_000_030_000_000);

    fn ask(before_s: u64, until_s: u64, step_s: u64) -> Result<Question, Unanswerable> {
        let at = |seconds| NOW.minus(Span::seconds(seconds));
        Question::new(at(before_s), at(until_s), Span::seconds(step_s))
    }

    #[test]
    fn a_question_is_widened_to_whole_steps() {
        let question = ask(86_400, 0, 60).expect("valid");
        assert_eq!(question.to.since(question.from), Span::seconds(86_400 + 60));
    }

    #[test]
    fn the_coarsest_rollup_that_fits_answers() {
        for (step, level) in [(60, Level::Minute), (90 * 60, Level::Minute), (7_200, Level::Hour), (86_400, Level::Day)]
        {
            let question = ask(30 * 86_400, 24 * 86_400, step).expect("valid");
            assert_eq!(question.source(), Source::Rollup(level), "{step}");
        }
        assert_eq!(ask(600, 0, 10).expect("valid").source(), Source::Samples);
    }

    #[test]
    fn what_cannot_be_answered_says_what_could() {
        assert_eq!(ask(0, 60, 60), Err(Unanswerable::Backwards));
        assert_eq!(ask(60, 0, 0), Err(Unanswerable::Step));
        assert_eq!(ask(30 * 86_400, 0, 60), Err(Unanswerable::TooMany { step: Span::seconds(260) }));
        assert_eq!(ask(5 * 86_400, 0, 61), Err(Unanswerable::TooFine));
        assert!(ask(30 * 86_400, 0, 300).is_ok());
    }

    #[test]
    fn an_answer_is_as_large_as_its_points_and_ends_at_the_limit() {
        let question = ask(300, 0, 60).expect("valid");
        let bucket = Bucket { sent: 1, ..Bucket::default() };
        let mut folding = Folding::new(question);
        for number in 0..ROWS_MAX {
            folding.add(question.from.plus(Span::seconds(number % 120)), bucket.clone()).expect("as many as may be");
        }
        folding.add(question.to, bucket.clone()).expect("outside");
        assert_eq!(folding.add(question.from, bucket), Err(TooManyRows));
        let points = folding.points();
        assert_eq!(points.iter().map(|(_, bucket)| bucket.sent).sum::<u64>(), ROWS_MAX);
        assert_eq!(points.len(), 2);
    }

    #[test]
    fn a_step_without_rows_is_left_out() {
        let question = ask(300, 0, 60).expect("valid");
        let bucket = |sent| Bucket { sent, ..Bucket::default() };
        let at = |seconds| question.from.plus(Span::seconds(seconds));
        let mut folding = Folding::new(question);
        for (time, sent) in [(at(5), 1), (at(190), 2), (at(59), 4), (question.to, 8)] {
            folding.add(time, bucket(sent)).expect("few");
        }
        assert_eq!(folding.points(), [(at(0), bucket(5)), (at(180), bucket(2))]);
    }
}
