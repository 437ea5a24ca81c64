//! What every sample of music goes through, in a crate of its own so that it is compiled for speed
//! while the rest of the house is compiled for size.
//!
//! Pure: bytes in, samples out. Knows nothing of files, streams and time.
#![forbid(unsafe_code)]

mod lanes;
pub mod pcm;
pub mod vorbis;
