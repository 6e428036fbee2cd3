//! Tables that grow with time lie in pieces of it: partitions that we make, or chunks that TimescaleDB makes.
//!
//! There is no partition for everything else. A row whose piece is missing stops its transaction, the piece is made in a short
//! one of its own, and the first begins anew; so nothing ever lies where it would not be dropped.

use super::failure::While;
use crate::clock::rfc3339;
use crate::store::error::StoreError;
use everypath_protocol::time::{Span, UnixTime};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};

use super::codes::Time;

/// Everyone who makes partitions takes this lock in his transaction, so that no two make the same one.
const LOCK: i64 = 0x6576_7061_7468_0002;
/// The setting that asks for pieces of an hour: for more than some ten thousand samples a second.
const SETTING: &str = "store.sample_partition";
const HOUR_US: i64 = 3_600_000_000;
/// Pieces of an hour are made for rows of about now. Older ones are few, and get a whole day.
const HOURLY_MAX: Span = Span::seconds(3 * 24 * 3_600);

/// The tables that lie in pieces.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Table {
    Sample,
    Event,
    Minute,
    Hour,
    Day,
}

impl Table {
    pub(super) const ALL: [Self; 5] = [Self::Sample, Self::Event, Self::Minute, Self::Hour, Self::Day];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Sample => "sample",
            Self::Event => "event",
            Self::Minute => "sample_minute",
            Self::Hour => "sample_hour",
            Self::Day => "sample_day",
        }
    }
}

/// How long a piece is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Length {
    Hour,
    Day,
    Month,
}

impl Length {
    /// The beginning of the piece that holds `time`: as much of the date as matters.
    fn piece(self, time: UnixTime) -> String {
        let mut text = rfc3339(time);
        text.truncate(match self {
            Self::Hour => "2026-11-23T05".len(),
            Self::Day => "2026-11-23".len(),
            Self::Month => "2026-11".len(),
        });
        text
    }

    const fn interval(self) -> &'static str {
        match self {
            Self::Hour => "1 hour",
            Self::Day => "1 day",
            Self::Month => "1 month",
        }
    }

    /// As a time that PostgreSQL reads.
    fn literal(self, piece: &str) -> String {
        match self {
            Self::Hour => format!("{piece}:00:00Z"),
            Self::Day => format!("{piece}T00:00:00Z"),
            Self::Month => format!("{piece}-01T00:00:00Z"),
        }
    }
}

/// Hours (since 1970) for which rows are waiting.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Wanted(BTreeMap<Table, BTreeSet<i64>>);

impl Wanted {
    pub(super) fn add(&mut self, table: Table, time: UnixTime) {
        self.0.entry(table).or_default().insert(time.0.div_euclid(HOUR_US));
    }
}

/// A piece with its bounds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Piece {
    /// With its schema, quoted.
    pub(super) name: String,
    pub(super) from: UnixTime,
    pub(super) to: UnixTime,
}

/// Which pieces are there, as far as this process knows.
#[derive(Debug)]
pub(super) struct Partitions {
    hourly: bool,
    known: Mutex<BTreeMap<Table, BTreeSet<i64>>>,
}

impl Partitions {
    pub(super) async fn read(connection: &mut PgConnection) -> Result<Self, StoreError> {
        let select = "select value from setting where name = $1";
        let value: Option<String> =
            sqlx::query_scalar(select).bind(SETTING).fetch_optional(connection).await.doing("reading a setting")?;
        let hourly = value.is_some_and(|value| value.trim_matches('"') == "hour");
        Ok(Self { hourly, known: Mutex::default() })
    }

    pub(super) const fn is_hourly(&self) -> bool {
        self.hourly
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<Table, BTreeSet<i64>>> {
        // Nothing is done under the lock that could leave half an entry.
        self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn forget(&self) {
        self.known().clear();
    }

    /// What of `wanted` is not known to be there.
    pub(super) fn missing(&self, wanted: &Wanted) -> Option<Wanted> {
        let known = self.known();
        let mut missing = BTreeMap::new();
        for (table, hours) in &wanted.0 {
            let there = known.get(table);
            let not_there = |hour: &&i64| there.is_none_or(|there| !there.contains(*hour));
            let hours: BTreeSet<i64> = hours.iter().filter(not_there).copied().collect();
            if !hours.is_empty() {
                missing.insert(*table, hours);
            }
        }
        (!missing.is_empty()).then_some(Wanted(missing))
    }

    /// Makes what is missing, in a transaction of its own.
    pub(super) async fn make(&self, connection: &mut PgConnection, wanted: &Wanted) -> Result<(), sqlx::Error> {
        let mut transaction = connection.begin().await?;
        sqlx::query("select pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *transaction).await?;
        for (table, hours) in &wanted.0 {
            if !is_partitioned(&mut transaction, *table).await? {
                // A hypertable makes its chunks itself.
                continue;
            }
            let mut there = pieces(&mut transaction, *table).await?;
            for hour in hours {
                let time = UnixTime(hour.saturating_mul(HOUR_US));
                if !there.iter().any(|piece| piece.from <= time && time < piece.to) {
                    there.push(self.make_one(&mut transaction, *table, time, &there).await?);
                }
            }
        }
        transaction.commit().await?;
        let mut known = self.known();
        for (table, hours) in &wanted.0 {
            known.entry(*table).or_default().extend(hours);
        }
        Ok(())
    }

    /// Made beside the table and then attached: that waits for nobody who reads or writes it.
    async fn make_one(
        &self,
        connection: &mut PgConnection,
        table: Table,
        time: UnixTime,
        there: &[Piece],
    ) -> Result<Piece, sqlx::Error> {
        let length = self.length(table, time, there);
        let (parent, piece) = (table.name(), length.piece(time));
        let digits: String = piece.chars().filter(char::is_ascii_digit).collect();
        let (name, from) = (format!("{parent}_p{digits}"), length.literal(&piece));
        let bounds = "select $1::text::timestamptz as lower, $1::text::timestamptz + $2::text::interval as upper";
        let row = sqlx::query(bounds).bind(&from).bind(length.interval()).fetch_one(&mut *connection).await?;
        let (Time(lower), Time(upper)) = (row.try_get("lower")?, row.try_get("upper")?);
        // Names and times are our own.
        let create = format!(
            "create table {name} (like {parent} including defaults including constraints including storage); \
             alter table {parent} attach partition {name} for values from ('{from}') to ('{}')",
            rfc3339(upper)
        );
        sqlx::raw_sql(AssertSqlSafe(create)).execute(connection).await?;
        tracing::info!(partition = name, "a partition was made");
        Ok(Piece { name, from: lower, to: upper })
    }

    /// Samples by the day or the hour, the rest by the month. A day that has hours already goes on with hours.
    fn length(&self, table: Table, time: UnixTime, there: &[Piece]) -> Length {
        if table != Table::Sample {
            return Length::Month;
        }
        let day = Length::Day.piece(time);
        let has_hours = there.iter().any(|piece| Length::Day.piece(piece.from) == day);
        let newest = there.iter().map(|piece| piece.to).max().unwrap_or(time);
        let is_recent = time.plus(HOURLY_MAX) > newest;
        if has_hours || (self.hourly && is_recent) { Length::Hour } else { Length::Day }
    }

    /// The hours for which pieces should be there before anybody needs them: `now` and three days on, or some hours on.
    pub(super) fn ahead(&self, now: UnixTime) -> Wanted {
        let mut wanted = Wanted::default();
        for table in Table::ALL {
            let step = if self.hourly && table == Table::Sample { 3_600 } else { 86_400 };
            (0..4).for_each(|number| wanted.add(table, now.plus(Span::seconds(step * number))));
        }
        wanted
    }
}

pub(super) async fn is_partitioned(connection: &mut PgConnection, table: Table) -> Result<bool, sqlx::Error> {
    let select = "select relkind = 'p' from pg_class where oid = $1::text::regclass";
    sqlx::query_scalar(select).bind(table.name()).fetch_one(connection).await
}

/// All pieces of a table, partitions or chunks, oldest first.
pub(super) async fn pieces(connection: &mut PgConnection, table: Table) -> Result<Vec<Piece>, sqlx::Error> {
    let native = "select format('%I.%I', n.nspname, c.relname) as name, bounds[1]::timestamptz as lower, bounds[2]::timestamptz as upper \
                  from pg_inherits i join pg_class c on c.oid = i.inhrelid join pg_namespace n on n.oid = c.relnamespace \
                  cross join lateral regexp_match(pg_get_expr(c.relpartbound, c.oid), \
                  'FROM \\(''([^'']+)''\\) TO \\(''([^'']+)''\\)') as bounds \
                  where i.inhparent = $1::text::regclass and bounds is not null order by lower";
    let chunks = "select format('%I.%I', chunk_schema, chunk_name) as name, range_start as lower, range_end as upper \
                  from timescaledb_information.chunks where hypertable_schema = current_schema() and hypertable_name = $1 \
                  order by lower";
    let select = if is_partitioned(connection, table).await? { native } else { chunks };
    let rows = sqlx::query(select).bind(table.name()).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let (Time(from), Time(to)) = (row.try_get("lower")?, row.try_get("upper")?);
            Ok(Piece { name: row.try_get("name")?, from, to })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: UnixTime = UnixTime(1_795_410_000_000_000);

    fn partitions(hourly: bool) -> Partitions {
        Partitions { hourly, known: Mutex::default() }
    }

    #[test]
    fn pieces_begin_where_their_names_say() {
        for (length, piece, literal) in [
            (Length::Hour, "2026-11-23T05", "2026-11-23T05:00:00Z"),
            (Length::Day, "2026-11-23", "2026-11-23T00:00:00Z"),
            (Length::Month, "2026-11", "2026-11-01T00:00:00Z"),
        ] {
            assert_eq!(length.piece(TIME), piece);
            assert_eq!(length.literal(piece), literal);
        }
    }

    #[test]
    fn a_day_that_was_begun_by_the_hour_is_ended_by_the_hour() {
        let hour = Piece { name: "a".into(), from: TIME, to: TIME.plus(Span::seconds(3_600)) };
        assert_eq!(partitions(false).length(Table::Sample, TIME, &[]), Length::Day);
        assert_eq!(
            partitions(false).length(Table::Sample, TIME.plus(Span::seconds(7_200)), std::slice::from_ref(&hour)),
            Length::Hour
        );
        assert_eq!(partitions(true).length(Table::Sample, TIME, &[]), Length::Hour);
        assert_eq!(partitions(true).length(Table::Sample, TIME.minus(Span::seconds(9 * 86_400)), &[hour]), Length::Day);
        assert_eq!(partitions(true).length(Table::Minute, TIME, &[]), Length::Month);
    }

    #[test]
    fn only_what_is_not_known_is_missing() {
        let partitions = partitions(false);
        let mut wanted = Wanted::default();
        wanted.add(Table::Sample, TIME);
        wanted.add(Table::Event, TIME);
        assert_eq!(partitions.missing(&wanted), Some(wanted.clone()));
        partitions.known().entry(Table::Sample).or_default().insert(TIME.0.div_euclid(HOUR_US));
        let mut events = Wanted::default();
        events.add(Table::Event, TIME);
        assert_eq!(partitions.missing(&wanted), Some(events));
    }
}
