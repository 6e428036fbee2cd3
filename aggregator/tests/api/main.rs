//! The whole program but its sockets: requests go into the router and answers come out, over a real database in a temporary
//! folder and a clock that stands still until it is moved.

#[path = "../common/mod.rs"]
mod common;

mod access;
mod audit;
mod commands;
mod doors;
mod ingest;
mod join;
mod keeping;
mod live;
mod openapi;
mod pages;
mod people;
mod program;
mod reports;
mod roles;
mod series;
mod world;
