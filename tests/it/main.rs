//! Behaviour of the real binary.
