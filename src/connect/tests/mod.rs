//! The whole machine.

mod clusters;
mod commands;
mod contexts;
mod failures;
mod odd;
mod places;
mod random;
mod reference;
mod restore;
mod rig;
mod sleep;
mod steps;
