//! Vorbis I: from the packets of a stream to its samples.
//!
//! Written after the specification (xiph.org/vorbis/doc/Vorbis_I_spec.html), whose chapters the
//! rooms name. Mono and stereo, floors of type 1: all that encoders make. Whatever the bytes are,
//! memory and time stay bounded, and what cannot be read is refused.
//!
//! Headers become a [`Setup`], which streams of one encoder can share; a [`Codec`] has the state of
//! one stream.

mod bits;
mod block;
mod book;
mod dct;
mod floor;
mod residue;
mod setup;
#[cfg(test)]
mod testing;
mod tree;

use std::{fmt, sync::Arc};

use bits::{Bits, width_of};
use floor::Outline;
use residue::Kind;
use setup::Mapping;
pub use setup::{Ident, Setup};

use crate::lanes::{Lanes, apart, load};

/// Why headers cannot be used; a sentence that goes on from "this is not audio that can be played".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault(&'static str);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Fault {}

/// A stream on its way from packets to samples.
pub struct Codec {
    setup: Arc<Setup>,
    channels: Box<[Channel]>,
    /// Where in the block before the next one begins; `None` when there is no block before.
    before: Option<usize>,
    room: Room,
}

/// What a channel keeps.
#[derive(Default)]
struct Channel {
    spectrum: Vec<f32>,
    /// The third quarter of the block before, and of this one.
    tail: Vec<f32>,
    next: Vec<f32>,
    out: Vec<f32>,
}

/// Room to work in, of no meaning between two packets.
#[derive(Default)]
struct Room {
    dct: dct::Room,
    interleaved: Vec<f32>,
    classes: Vec<u8>,
    head: Vec<f32>,
}

impl Codec {
    /// At the beginning of a stream, or anywhere in it.
    pub fn new(setup: Arc<Setup>) -> Self {
        Self {
            channels: (0..setup.channels()).map(|_| Channel::default()).collect(),
            setup,
            before: None,
            room: Room::default(),
        }
    }

    /// Forgets the block before: the next packet begins anew, and yields nothing.
    pub fn reset(&mut self) {
        self.before = None;
    }

    /// The samples of the next packet, 1.0 being full scale; what was louder before it was encoded
    /// is beyond that. Both are the same in mono. `None` when it is damaged: reset is due.
    pub fn decode(&mut self, packet: &[u8]) -> Option<[&[f32]; 2]> {
        let setup = Arc::clone(&self.setup);
        let mut bits = Bits::new(packet);
        if bits.flag()? {
            return None;
        }
        let mode = bits.index(width_of(setup.modes.len() as u32 - 1))?;
        let mode = setup.modes.get(mode)?;
        if mode.long == 1 {
            // What blocks are beside it; it shows anyway.
            bits.take(2)?;
        }
        self.spectra(&setup, mode.long, &setup.mappings[mode.mapping], &mut bits);
        self.overlap(&setup, mode.long);
        let [first, last] = [self.channels.first()?, self.channels.last()?];
        Some([&first.out, &last.out])
    }

    /// From bits to spectra.
    fn spectra(&mut self, setup: &Setup, long: usize, mapping: &Mapping, bits: &mut Bits<'_>) {
        let length = setup.shapes[long].length / 2;
        for channel in &mut self.channels {
            channel.spectrum.clear();
            channel.spectrum.resize(length, 0.0);
        }
        let floor = |channel: usize| &setup.floors[mapping.floors[mapping.parts[channel]]];
        let mut outlines: [Option<Outline>; 2] = [None, None];
        for (channel, outline) in outlines.iter_mut().enumerate().take(self.channels.len()) {
            *outline = floor(channel).outline(bits, &setup.books);
        }
        let mut heard = [0, 1].map(|channel| outlines[channel].is_some());
        if mapping.coupled.is_some() && heard.contains(&true) {
            heard = [true; 2];
        }
        for (part, residue) in mapping.residues.iter().enumerate() {
            let residue = &setup.residues[*residue];
            let here = |channel: &usize| mapping.parts[*channel] == part;
            self.refine(residue, &setup.books, bits, heard, here);
        }
        if let (Some(sum), [one, other]) = (mapping.coupled, &mut self.channels[..]) {
            let (sum, difference) = if sum == 0 { (one, other) } else { (other, one) };
            uncouple(&mut sum.spectrum, &mut difference.spectrum);
        }
        for (index, channel) in self.channels.iter_mut().enumerate() {
            match &outlines[index] {
                Some(outline) => {
                    floor(index).shape(outline, &setup.levels, &mut channel.spectrum);
                }
                None => channel.spectrum.fill(0.0),
            }
        }
    }

    /// Adds the fine structure of those channels that are told here.
    fn refine(
        &mut self,
        residue: &residue::Residue,
        books: &[book::Book],
        bits: &mut Bits<'_>,
        heard: [bool; 2],
        here: impl Fn(&usize) -> bool,
    ) {
        let Room {
            interleaved,
            classes,
            ..
        } = &mut self.room;
        let chosen = self.channels.iter_mut().enumerate();
        let chosen = chosen.filter(|(channel, _)| here(channel));
        match residue.kind {
            Kind::Interleaved => {
                let mut told: Vec<_> = chosen.collect();
                if !told.iter().any(|(channel, _)| heard[*channel]) {
                    return;
                }
                let length = told.iter().map(|(_, channel)| channel.spectrum.len()).sum();
                interleaved.clear();
                interleaved.resize(length, 0.0);
                residue.add(bits, books, &mut [&mut interleaved[..]], classes);
                match &mut told[..] {
                    [(_, one), (_, other)] => {
                        deal(interleaved, &mut one.spectrum, &mut other.spectrum);
                    }
                    told => {
                        for (_, channel) in told {
                            channel.spectrum.copy_from_slice(interleaved);
                        }
                    }
                }
            }
            Kind::Apart | Kind::Together => {
                let told = chosen.filter(|(channel, _)| heard[*channel]);
                let mut spectra: Vec<_> = told.map(|(_, c)| &mut c.spectrum[..]).collect();
                residue.add(bits, books, &mut spectra, classes);
            }
        }
    }

    /// From spectra to samples: those between the middles of the block before and this one.
    fn overlap(&mut self, setup: &Setup, long: usize) {
        let shape = &setup.shapes[long];
        let quarter = shape.length / 4;
        let Room { dct, head, .. } = &mut self.room;
        head.resize(quarter, 0.0);
        for channel in &mut self.channels {
            channel.next.resize(quarter, 0.0);
            let next = &mut channel.next;
            shape.dct.halves(&channel.spectrum, dct, head, next);
            match self.before {
                Some(before) => {
                    let shorter = &setup.shapes[before.min(long)];
                    shorter.join(&channel.tail, head, &mut channel.out);
                }
                None => channel.out.clear(),
            }
            std::mem::swap(&mut channel.tail, &mut channel.next);
        }
        self.before = Some(long);
    }
}

/// From the larger of two numbers and their difference to both (Vorbis I, 4.3.5).
fn uncouple(sums: &mut [f32], differences: &mut [f32]) {
    let sums = sums.as_chunks_mut().0.iter_mut();
    for (sum, difference) in sums.zip(differences.as_chunks_mut().0) {
        let (larger, apart) = (load(sum), load(difference));
        let is_positive = apart.simd_gt(Lanes::ZERO);
        let signed = larger.simd_gt(Lanes::ZERO).bitselect(apart, -apart);
        let moved = is_positive.bitselect(larger - signed, larger + signed);
        *sum = is_positive.bitselect(larger, moved).to_array();
        *difference = is_positive.bitselect(moved, larger).to_array();
    }
}

/// Every other number to each side.
fn deal(from: &[f32], one: &mut [f32], other: &mut [f32]) {
    let from = from.as_chunks().0.as_chunks::<2>().0;
    let into = one.as_chunks_mut().0.iter_mut();
    let into = into.zip(other.as_chunks_mut().0);
    for ((one, other), [first, second]) in into.zip(from) {
        [*one, *other] = apart(load(first), load(second)).map(Lanes::to_array);
    }
}

#[cfg(test)]
mod tests;
