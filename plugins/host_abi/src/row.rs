//! The next row of the table, as source text.
