//! What every part of Everypath agrees on: names for things, time, mergeable measurements, the bytes on the wire and on
//! disk, and who may sign what. Nothing in here reads a clock, opens a socket or draws a random number.
//!
//! Reading order: [`id`] and [`time`], then what is measured ([`histogram`], [`window`], [`cell`], [`record`]), how it is
//! kept and sent ([`block`], [`batch`], [`ledger`]), who may say what ([`sign`], [`trust`], [`token`], [`join`]), and
//! what agents tell each other ([`member`], [`row`], [`mesh`]), and what they are told to measure ([`mesh_config`]).
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod base64url;
pub mod batch;
pub mod block;
pub mod cell;
pub mod codec;
pub mod fault;
pub mod histogram;
pub mod id;
pub mod join;
pub mod ledger;
pub mod member;
pub mod mesh;
pub mod mesh_config;
pub mod record;
pub mod row;
pub mod sign;
pub mod time;
pub mod token;
pub mod trust;
pub mod window;
