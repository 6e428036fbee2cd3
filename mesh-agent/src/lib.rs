//! The agent's shell: sockets, disk and clocks around `mesh-agent-core`, which decides everything.
//!
//! Reading order: [`driver`] (the one loop), then what it talks to: [`net`] (the mesh), [`probe`], [`store`] (the buffer on
//! disk), [`uplink`] (the aggregator), [`status`] (the loopback page). [`run`] puts them together, [`founding`], [`join`] and
//! [`issuer`] make members, [`show`] is what the terminal shows, [`update`] replaces the program.
#![forbid(unsafe_code)]

pub mod aggregators;
pub mod clock;
pub mod config;
pub mod driver;
pub mod files;
pub mod founding;
pub mod hello;
pub mod identity;
pub mod issuer;
pub mod join;
pub mod listen;
pub mod membership;
pub mod mesh_config;
pub mod metrics;
pub mod net;
pub mod probe;
pub mod run;
pub mod show;
pub mod status;
pub mod store;
pub mod supervise;
pub mod text;
pub mod tls;
pub mod trust;
pub mod update;
pub mod uplink;
