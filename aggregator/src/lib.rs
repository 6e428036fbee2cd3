//! The aggregator around `aggregator-core`: HTTP in front, a database behind, the matrix of now in between.
//!
//! Reading order: [`router`] lists every route and who may reach it; [`api`] holds one function for each; [`store`] is all
//! that is kept; [`hub`] owns the live matrix; [`serve`] puts them together.
#![forbid(unsafe_code)]

pub mod addresses;
pub mod alerts;
pub mod api;
pub mod app;
pub mod audit;
pub mod audit_log;
pub mod auth;
pub mod clock;
pub mod config;
pub mod doubt;
pub mod files;
pub mod guard;
pub mod hub;
pub mod jobs;
pub mod lock;
pub mod mesh;
pub mod mesh_config;
pub mod place;
pub mod random;
pub mod replica;
pub mod reports;
pub mod retention;
pub mod router;
pub mod scope;
pub mod seal;
pub mod seats;
pub mod serve;
pub mod store;
pub mod system;
pub mod telemetry;
pub mod tls;
pub mod tokens;
pub mod watch;
pub mod web;
pub mod who;
