//! The whole program but its sockets: requests go into the router and answers come out, over a real database in a temporary
//! folder and a clock that stands still until it is moved.

#[path = "../common/mod.rs"]
mod common;

mod access;
mod alerts;
mod audit;
mod commands;
mod config;
mod doors;
mod ingest;
mod join;
mod judged;
mod keeping;
mod live;
mod openapi;
mod pages;
mod people;
mod program;
mod reports;
mod roles;
mod schedules;
mod series;
mod sinks;
mod system;
mod world;
