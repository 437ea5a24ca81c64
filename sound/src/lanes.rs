//! Four numbers at once.
//!
//! Said outright, since the whole program is linked for size: the compiler puts no loops side by
//! side then, in this crate neither.

pub(crate) use wide::f32x4 as Lanes;

/// The four of a slice that is a multiple of four long.
#[inline(always)]
pub(crate) fn load(four: &[f32; 4]) -> Lanes {
    Lanes::new(*four)
}

#[inline(always)]
pub(crate) fn reversed(lanes: Lanes) -> Lanes {
    let [a, b, c, d] = lanes.to_array();
    Lanes::new([d, c, b, a])
}

/// Of eight numbers those at even places, and those at odd ones.
#[inline(always)]
pub(crate) fn apart(first: Lanes, second: Lanes) -> [Lanes; 2] {
    let (low, high) = (first.unpack_lo(second), first.unpack_hi(second));
    [low.unpack_lo(high), low.unpack_hi(high)]
}

/// The other way round.
#[inline(always)]
pub(crate) fn in_turn(even: Lanes, odd: Lanes) -> [Lanes; 2] {
    [even.unpack_lo(odd), even.unpack_hi(odd)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_change_places_as_they_should() {
        let (one, two) = (Lanes::new([0., 1., 2., 3.]), Lanes::new([4., 5., 6., 7.]));
        assert_eq!(reversed(one).to_array(), [3., 2., 1., 0.]);
        let [even, odd] = apart(one, two);
        assert_eq!(
            (even.to_array(), odd.to_array()),
            ([0., 2., 4., 6.], [1., 3., 5., 7.])
        );
        assert_eq!(in_turn(even, odd), [one, two]);
    }
}
