//! The color of the pages. Text in any color that the operator chooses, or on it, stays readable
//! (WCAG 2.2, 1.4.3).

use std::fmt;

/// A color in sRGB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Color(pub [u8; 3]);

impl Color {
    const WHITE: Self = Self([0xff; 3]);
    const BLACK: Self = Self([0; 3]);

    /// The minimum contrast for text of any size.
    const READABLE: f64 = 4.5;

    /// The relative luminance, from 0 to 1 (WCAG 2.2).
    fn luminance(self) -> f64 {
        let linear = self.0.map(|part| {
            let part = f64::from(part) / 255.0;
            if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    }

    /// The contrast ratio, from 1 to 21 (WCAG 2.2).
    fn contrast(self, other: Self) -> f64 {
        let (one, two) = (self.luminance(), other.luminance());
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }

    /// Mixes the color with another one, in steps of a twentieth.
    fn toward(self, other: Self, twentieths: u16) -> Self {
        let mut mixed = self.0;
        for (part, goal) in mixed.iter_mut().zip(other.0) {
            let sum = u16::from(*part) * (20 - twentieths) + u16::from(goal) * twentieths;
            *part = u8::try_from(sum / 20).expect("a mean of two bytes is one");
        }
        Self(mixed)
    }

    /// The brightest color of the same hue.
    fn at_its_brightest(self) -> Self {
        let most = self.0.into_iter().max().unwrap_or_default();
        if most == 0 {
            return Self::WHITE;
        }
        let scaled = |part| u16::from(part) * 255 / u16::from(most);
        Self(self.0.map(|part| u8::try_from(scaled(part)).expect("no part exceeds the most")))
    }

    /// The nearest darker color that is readable on all these backgrounds.
    #[must_use]
    pub fn dark_enough_for(self, papers: &[Self]) -> Self {
        self.first_readable(papers, &[Self::BLACK])
    }

    /// The nearest brighter color that is readable on all these backgrounds: first a more vivid
    /// one, then a paler one.
    #[must_use]
    pub fn bright_enough_for(self, papers: &[Self]) -> Self {
        self.first_readable(papers, &[self.at_its_brightest(), Self::WHITE])
    }

    /// The first readable color on the way through these colors.
    fn first_readable(self, papers: &[Self], stops: &[Self]) -> Self {
        let reads = |color: &Self| papers.iter().all(|on| color.contrast(*on) >= Self::READABLE);
        let mut here = self;
        for stop in stops {
            if let Some(found) = (0..=20).map(|step| here.toward(*stop, step)).find(reads) {
                return found;
            }
            here = *stop;
        }
        here
    }

    /// The color of text on this color: white or black.
    #[must_use]
    pub fn ink(self) -> Self {
        let white = self.contrast(Self::WHITE);
        if white >= Self::READABLE || white >= self.contrast(Self::BLACK) {
            Self::WHITE
        } else {
            Self::BLACK
        }
    }
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn contrast_is_the_one_of_wcag() {
        assert!((Color::WHITE.contrast(Color([0; 3])) - 21.0).abs() < 0.001);
        assert!((Color([0x76; 3]).contrast(Color::WHITE) - 4.54).abs() < 0.01);
    }

    proptest! {
        #[test]
        fn every_colour_can_be_read_and_written_on(color: [u8; 3]) {
            let color = Color(color);
            prop_assert!(color.contrast(color.ink()) >= Color::READABLE, "{color}");
            let dark = [Color([0x15, 0x18, 0x1b]), Color([0x1f, 0x23, 0x27])];
            let light = [Color([0xf5, 0xf5, 0xf2]), Color::WHITE];
            let written = [(dark, color.bright_enough_for(&dark)), (light, color.dark_enough_for(&light))];
            for (papers, text) in written {
                prop_assert!(papers.iter().all(|on| text.contrast(*on) >= Color::READABLE), "{text}");
            }
        }
    }
}
