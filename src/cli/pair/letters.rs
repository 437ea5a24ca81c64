//! A code in letters that can be read from across the room.

/// Rows of a letter.
const ROWS: usize = 5;

/// Five rows of five dots, a bit each, the leftmost the highest.
fn dots(letter: char) -> Option<[u8; ROWS]> {
    Some(match letter.to_ascii_uppercase() {
        'A' => [0b01110, 0b10001, 0b11111, 0b10001, 0b10001],
        'B' => [0b11110, 0b10001, 0b11110, 0b10001, 0b11110],
        'C' => [0b01111, 0b10000, 0b10000, 0b10000, 0b01111],
        'D' => [0b11110, 0b10001, 0b10001, 0b10001, 0b11110],
        'E' => [0b11111, 0b10000, 0b11110, 0b10000, 0b11111],
        'F' => [0b11111, 0b10000, 0b11110, 0b10000, 0b10000],
        'G' => [0b01111, 0b10000, 0b10011, 0b10001, 0b01111],
        'H' => [0b10001, 0b10001, 0b11111, 0b10001, 0b10001],
        'I' => [0b01110, 0b00100, 0b00100, 0b00100, 0b01110],
        'J' => [0b00111, 0b00010, 0b00010, 0b10010, 0b01100],
        'K' => [0b10010, 0b10100, 0b11000, 0b10100, 0b10010],
        'L' => [0b10000, 0b10000, 0b10000, 0b10000, 0b11111],
        'M' => [0b10001, 0b11011, 0b10101, 0b10001, 0b10001],
        'N' => [0b10001, 0b11001, 0b10101, 0b10011, 0b10001],
        // Rounder than the zero, which is crossed.
        'O' => [0b01110, 0b10001, 0b10001, 0b10001, 0b01110],
        'P' => [0b11110, 0b10001, 0b11110, 0b10000, 0b10000],
        'Q' => [0b01110, 0b10001, 0b10101, 0b10010, 0b01101],
        'R' => [0b11110, 0b10001, 0b11110, 0b10010, 0b10001],
        'S' => [0b01111, 0b10000, 0b01110, 0b00001, 0b11110],
        'T' => [0b11111, 0b00100, 0b00100, 0b00100, 0b00100],
        'U' => [0b10001, 0b10001, 0b10001, 0b10001, 0b01110],
        'V' => [0b10001, 0b10001, 0b10001, 0b01010, 0b00100],
        'W' => [0b10001, 0b10001, 0b10101, 0b11011, 0b10001],
        'X' => [0b10001, 0b01010, 0b00100, 0b01010, 0b10001],
        'Y' => [0b10001, 0b01010, 0b00100, 0b00100, 0b00100],
        'Z' => [0b11111, 0b00010, 0b00100, 0b01000, 0b11111],
        '0' => [0b01110, 0b10011, 0b10101, 0b11001, 0b01110],
        '1' => [0b00100, 0b01100, 0b00100, 0b00100, 0b01110],
        '2' => [0b11110, 0b00001, 0b01110, 0b10000, 0b11111],
        '3' => [0b11110, 0b00001, 0b00110, 0b00001, 0b11110],
        '4' => [0b10010, 0b10010, 0b11111, 0b00010, 0b00010],
        '5' => [0b11111, 0b10000, 0b11110, 0b00001, 0b11110],
        '6' => [0b01110, 0b10000, 0b11110, 0b10001, 0b01110],
        '7' => [0b11111, 0b00001, 0b00010, 0b00100, 0b00100],
        '8' => [0b01110, 0b10001, 0b01110, 0b10001, 0b01110],
        '9' => [0b01110, 0b10001, 0b01111, 0b00001, 0b01110],
        '-' => [0b00000, 0b00000, 0b01110, 0b00000, 0b00000],
        ' ' => [0; ROWS],
        _ => return None,
    })
}

/// The code as five lines of blocks; `None` when it holds a sign without a picture or does not fit
/// into `columns`.
pub fn large(code: &str, columns: usize) -> Option<String> {
    let letters = code.chars().map(dots).collect::<Option<Vec<_>>>()?;
    if letters.is_empty() || letters.len() * 7 > columns {
        return None;
    }
    let mut text = String::new();
    for row in 0..ROWS {
        for letter in &letters {
            for dot in (0..5).rev() {
                text.push(if letter[row] >> dot & 1 == 1 {
                    '█'
                } else {
                    ' '
                });
            }
            text.push_str("  ");
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_drawn_row_by_row() {
        let drawn = large("L1", 80).expect("it fits");
        assert_eq!(
            drawn,
            "█        █\n█       ██\n█        █\n█        █\n█████   ███\n"
        );
    }

    #[test]
    fn every_letter_and_digit_has_a_picture_of_its_own() {
        let signs: Vec<char> = ('A'..='Z').chain('0'..='9').chain(['-']).collect();
        let mut drawn: Vec<_> = signs.iter().map(|sign| dots(*sign)).collect();
        assert!(drawn.iter().all(Option::is_some));
        drawn.sort();
        drawn.dedup();
        assert_eq!(drawn.len(), signs.len());
    }

    #[test]
    fn what_cannot_be_drawn_or_does_not_fit_is_left_to_plain_letters() {
        assert_eq!(large("AB€", 80), None);
        assert_eq!(large("ABCDEFGHIJKLM", 80), None);
        assert_eq!(large("", 80), None);
    }
}
