//! The part of a file that is held in memory, in blocks, decrypted where it lies.

use std::collections::VecDeque;

use super::cipher::{Key, Lock};

/// Bytes of a block. Large enough that decrypting is cheap, small enough that what was played can
/// be dropped soon. With what the allocator adds it is eight pages of 4 kB and no byte more, and two
/// of 16 kB: each is asked of the kernel and given back to it alone (see
/// [`crate::engine::child::own_program`]), so that blocks leave no holes in the heap.
pub(super) const BLOCK: u64 = 32 * 1024 - 32;

const SIZE: usize = BLOCK as usize;

/// Blocks from `base` on. Each is filled from its beginning; a later one may begin before an earlier
/// one is full, because two requests may be under way.
pub(super) struct Window {
    base: u64,
    blocks: VecDeque<Block>,
    lock: Lock,
}

#[derive(Default)]
struct Block {
    /// What has come. Never grows beyond [`BLOCK`], which is reserved with the first byte.
    bytes: Vec<u8>,
    /// How many of them are decrypted.
    clear: usize,
}

impl Window {
    pub fn new(base: u64) -> Self {
        Self {
            base,
            blocks: VecDeque::new(),
            lock: Lock::Closed,
        }
    }

    /// The place of the first byte that may be held.
    pub fn base(&self) -> u64 {
        self.base
    }

    /// Bytes reserved.
    pub fn memory(&self) -> usize {
        self.blocks.iter().map(|block| block.bytes.capacity()).sum()
    }

    /// Begins anew at another place, with the same key.
    pub fn restart(&mut self, base: u64) {
        self.base = base;
        self.blocks.clear();
    }

    /// From now on bytes can be read.
    pub fn open(&mut self, key: Key) {
        if !self.lock.is_open() {
            self.lock = Lock::opened_by(key);
        }
    }

    pub fn is_open(&self) -> bool {
        self.lock.is_open()
    }

    /// Takes bytes that came from `offset` on, and returns the end of what it took. What lies before
    /// the window or is there already is left out; what would leave a gap inside a block is refused.
    pub fn put(&mut self, offset: u64, bytes: &[u8]) -> u64 {
        let end = offset + bytes.len() as u64;
        let early = self.base.saturating_sub(offset);
        let Some(mut rest) = usize::try_from(early).ok().and_then(|n| bytes.get(n..)) else {
            return end;
        };
        let mut at = offset.max(self.base);
        while !rest.is_empty() {
            let (index, within) = self.place(at);
            let piece = rest.len().min(SIZE - within);
            if self.blocks.len() <= index {
                self.blocks.resize_with(index + 1, Block::default);
            }
            let held = self.blocks[index].bytes.len();
            if held < within {
                return at;
            }
            if let Some(fresh) = rest[..piece].get(held - within..)
                && !fresh.is_empty()
            {
                let block = &mut self.blocks[index];
                if block.bytes.capacity() == 0 {
                    block.bytes.reserve_exact(SIZE);
                }
                block.bytes.extend_from_slice(fresh);
                if block.bytes.len() == SIZE {
                    self.decrypt(index);
                }
            }
            rest = &rest[piece..];
            at += piece as u64;
        }
        end
    }

    /// Where the bytes end that are there from `offset` on without a gap; `offset` itself when
    /// there are none.
    pub fn filled_to(&self, offset: u64) -> u64 {
        if offset < self.base {
            return offset;
        }
        let (mut index, mut within) = self.place(offset);
        let mut end = offset;
        while let Some(block) = self.blocks.get(index)
            && block.bytes.len() > within
        {
            end += (block.bytes.len() - within) as u64;
            if block.bytes.len() < SIZE {
                break;
            }
            (index, within) = (index + 1, 0);
        }
        end
    }

    /// The end of the last bytes there are at or before `offset`, or the base.
    pub fn edge_before(&self, offset: u64) -> u64 {
        if offset <= self.base {
            return self.base;
        }
        let (index, within) = self.place(offset);
        let last = index.min(self.blocks.len().saturating_sub(1));
        for at in (0..=last).rev() {
            let held = self.blocks.get(at).map_or(0, |block| block.bytes.len());
            let held = if at == index { held.min(within) } else { held };
            if held > 0 {
                return self.base + at as u64 * BLOCK + held as u64;
            }
        }
        self.base
    }

    /// Copies what is there from `offset` on; 0 while there is no key.
    pub fn read(&mut self, offset: u64, buf: &mut [u8]) -> usize {
        if offset < self.base || !self.lock.is_open() {
            return 0;
        }
        let (mut index, mut within) = self.place(offset);
        let mut done = 0;
        while done < buf.len() {
            let held = self.blocks.get(index).map_or(0, |block| block.bytes.len());
            if held <= within {
                break;
            }
            self.decrypt(index);
            let piece = (held - within).min(buf.len() - done);
            let bytes = &self.blocks[index].bytes[within..within + piece];
            buf[done..done + piece].copy_from_slice(bytes);
            done += piece;
            if held < SIZE {
                break;
            }
            (index, within) = (index + 1, 0);
        }
        done
    }

    /// The first bytes as they came, encrypted or not, when the window begins the file.
    pub fn raw_head(&self) -> Option<&[u8]> {
        let block = self.blocks.front()?;
        (self.base == 0 && block.clear == 0).then_some(&block.bytes)
    }

    /// Drops whole blocks that lie before `offset`. Whether there were any.
    pub fn forget_before(&mut self, offset: u64) -> bool {
        let before = self.base;
        while self.base + BLOCK <= offset && !self.blocks.is_empty() {
            self.blocks.pop_front();
            self.base += BLOCK;
        }
        self.base > before
    }

    fn place(&self, offset: u64) -> (usize, usize) {
        let from = offset.saturating_sub(self.base);
        ((from / BLOCK) as usize, (from % BLOCK) as usize)
    }

    /// A full block is decrypted when it is full, the last one when somebody reads it.
    fn decrypt(&mut self, index: usize) {
        if !self.lock.is_open() {
            return;
        }
        let start = self.base + index as u64 * BLOCK;
        let block = &mut self.blocks[index];
        let fresh = &mut block.bytes[block.clear..];
        if !fresh.is_empty() {
            self.lock.decrypt(start + block.clear as u64, fresh);
            block.clear = block.bytes.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(from: u64, count: usize) -> Vec<u8> {
        (from..from + count as u64)
            .map(|at| (at * 7 + at / 251) as u8)
            .collect()
    }

    fn open(base: u64) -> Window {
        let mut window = Window::new(base);
        window.open(Key::None);
        window
    }

    #[test]
    fn bytes_may_come_in_any_pieces_and_are_read_in_any_others() {
        let mut window = open(1000);
        let mut at = 1000;
        for size in [1, 5000, 40_000, 3, 70_000] {
            window.put(at, &bytes(at, size));
            at += size as u64;
        }
        assert_eq!(window.filled_to(1000), at);
        let mut got = Vec::new();
        let mut buf = [0; 9_999];
        loop {
            let n = window.read(1000 + got.len() as u64, &mut buf);
            if n == 0 {
                break;
            }
            got.extend_from_slice(&buf[..n]);
        }
        assert!(got == bytes(1000, got.len()) && 1000 + got.len() as u64 == at);
    }

    #[test]
    fn the_second_request_may_be_ahead_of_the_first() {
        let mut window = open(0);
        window.put(BLOCK, &bytes(BLOCK, 100));
        assert_eq!(window.filled_to(0), 0);
        assert_eq!(window.edge_before(BLOCK + 50), BLOCK + 50);
        assert_eq!(window.edge_before(BLOCK + 500), BLOCK + 100);
        window.put(0, &bytes(0, SIZE));
        assert_eq!(window.filled_to(0), BLOCK + 100);
    }

    #[test]
    fn nothing_is_read_before_the_key_has_come() {
        let mut window = Window::new(0);
        let mut secret = bytes(0, 50_000);
        Lock::opened_by(Key::Aes([9; 16])).decrypt(0, &mut secret);
        window.put(0, &secret);
        let mut buf = vec![0; 50_000];
        assert_eq!(window.read(0, &mut buf), 0);
        window.open(Key::Aes([9; 16]));
        assert_eq!(window.read(0, &mut buf), 50_000);
        assert!(buf == bytes(0, 50_000));
    }

    #[test]
    fn what_was_played_is_dropped_in_whole_blocks() {
        let mut window = open(100);
        window.put(100, &bytes(100, 3 * SIZE));
        window.forget_before(100 + BLOCK + 5);
        assert_eq!(window.base(), 100 + BLOCK);
        assert_eq!(window.memory(), 2 * SIZE);
        // Late bytes of what is gone, and bytes that are there already, change nothing.
        window.put(0, &[1; 500]);
        window.put(100 + BLOCK, &[1; 500]);
        let mut buf = [0; 10];
        assert_eq!(window.read(100 + BLOCK, &mut buf), 10);
        assert_eq!(buf[..], bytes(100 + BLOCK, 10)[..]);
    }

    #[test]
    fn a_gap_inside_a_block_is_never_filled_with_something_else() {
        let mut window = open(0);
        assert_eq!(window.put(BLOCK - 10, &[1; 20]), BLOCK - 10, "refused");
        assert_eq!(window.put(10, &[1; 10]), 10, "refused");
        assert_eq!(window.filled_to(0), 0);
        assert_eq!(window.filled_to(10), 10);
        assert_eq!(window.memory(), 0);
        assert_eq!(window.put(0, &[1; 10]), 10);
    }
}
