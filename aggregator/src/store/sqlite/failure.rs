//! What an error of SQLite means for whoever asked.

/// Primary result codes (sqlite.org/rescode.html): too big, a constraint, a value of another type than the column's.
const UNSTORABLE: [i32; 3] = [18, 19, 20];
/// A number that was looked up is nobody's: a mistake of this program, not of the record. And a trigger, which nobody has on this
/// file but whoever wants it to fail.
const NOT_THE_RECORD: [i32; 2] = [787, 1811];

/// Whether what was to be stored can never be stored. Anything else, such as a full disk, may pass.
pub(super) fn is_unstorable(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code()).and_then(|code| code.parse::<i32>().ok());
    code.is_some_and(|code| !NOT_THE_RECORD.contains(&code) && UNSTORABLE.contains(&(code & 0xff)))
}
