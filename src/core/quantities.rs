//! Formats numbers for people.

use std::fmt;

/// A number with a comma after each group of three digits: `1,234,567`.
#[derive(Debug, Clone, Copy)]
pub struct Count(pub u64);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let (first, rest) = digits.split_at((digits.len() - 1) % 3 + 1);
        f.write_str(first)?;
        (0..rest.len()).step_by(3).try_for_each(|at| write!(f, ",{}", &rest[at..at + 3]))
    }
}

/// A number of bytes in the largest unit that it reaches: `1.46 KiB`.
#[derive(Debug, Clone, Copy)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u32, &str); 4] = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
        let Some((bits, unit)) = UNITS.iter().find(|(bits, _)| self.0 >> bits > 0) else {
            return write!(f, "{} B", self.0);
        };
        let hundredths = (u128::from(self.0) * 100) >> bits;
        write!(f, "{}.{:02} {unit}", hundredths / 100, hundredths % 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_in_groups_of_three() {
        let shown = [0, 999, 1000, 123_456, 1_234_567, u64::MAX].map(|n| Count(n).to_string());
        let expected = ["0", "999", "1,000", "123,456", "1,234,567", "18,446,744,073,709,551,615"];
        assert_eq!(shown, expected);
    }

    #[test]
    fn bytes_are_in_the_largest_unit_that_they_reach() {
        let shown = [0, 1023, 1024, 1500, 1 << 20, 34_661_310_464, u64::MAX];
        let shown = shown.map(|n| Bytes(n).to_string());
        let expected =
            ["0 B", "1023 B", "1.00 KiB", "1.46 KiB", "1.00 MiB", "32.28 GiB", "16777215.99 TiB"];
        assert_eq!(shown, expected);
    }
}
