//! The whole machine.

mod clusters;
mod commands;
mod contexts;
mod crossing;
mod failures;
mod odd;
mod outages;
mod places;
mod random;
mod reference;
mod restore;
mod rig;
mod sleep;
mod steps;
