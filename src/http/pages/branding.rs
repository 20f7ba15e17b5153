//! How the pages look to the people of a place: its name, its colour, its logo.

use super::color::Color;

/// The name, the colour and the logo of the place whose pages these are.
#[derive(Debug, Clone)]
pub struct Site {
    pub name: String,
    /// Of buttons and links.
    pub color: Color,
    /// `None` for the one that the program brings with it.
    pub logo: Option<Logo>,
}

/// A picture, as it is sent.
#[derive(Debug, Clone)]
pub struct Logo {
    pub kind: &'static str,
    pub bytes: Vec<u8>,
}

/// The logo of who brings none, in the colour of the place.
const LOGO: &str = include_str!("logo.svg");
const SVG: &str = "image/svg+xml";
const STYLE: &str = include_str!("page.css");

/// What text stands on, as `page.css` has it.
const LIGHT: [Color; 2] = [Color([0xf4, 0xf4, 0xf0]), Color([0xff, 0xff, 0xff])];
const DARK: [Color; 2] = [Color([0x12, 0x15, 0x18]), Color([0x1d, 0x21, 0x25])];

impl Site {
    /// The logo's media type and its bytes.
    pub fn logo(&self) -> (&'static str, Vec<u8>) {
        if let Some(logo) = &self.logo {
            return (logo.kind, logo.bytes.clone());
        }
        let (color, ink) = (self.color.to_string(), self.color.ink().to_string());
        let svg = LOGO.replace("#0b5f5a", &color).replace("#ffffff", &ink);
        (SVG, svg.into_bytes())
    }

    /// The style of the pages: the colours, and what never changes.
    pub fn style(&self) -> String {
        let light = Self::colors(self.color, self.color.dark_enough_for(&LIGHT));
        let bright = self.color.bright_enough_for(&DARK);
        let dark = Self::colors(bright, bright);
        format!(
            ":root {{ {light} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n\n{STYLE}"
        )
    }

    fn colors(accent: Color, link: Color) -> String {
        format!("--accent: {accent}; --on-accent: {}; --link: {link};", accent.ink())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_style_has_the_papers_that_the_colours_are_made_for() {
        for (name, papers) in [("light", LIGHT), ("dark", DARK)] {
            for paper in papers {
                assert!(STYLE.contains(&paper.to_string()), "{name}: {paper}");
            }
        }
    }

    #[test]
    fn the_logo_takes_the_colour_of_the_place() {
        assert!(LOGO.contains("#0b5f5a") && LOGO.contains("#ffffff"));
        let site = Site { name: "Wiki".to_owned(), color: Color([0xff, 0xdd, 0]), logo: None };
        let (kind, svg) = site.logo();
        let svg = String::from_utf8(svg).unwrap();
        assert_eq!(kind, "image/svg+xml");
        assert!(svg.contains("#ffdd00") && !svg.contains("#0b5f5a") && !svg.contains("#ffffff"));
        assert!(site.style().contains("--accent: #ffdd00; --on-accent: #000000;"));
    }
}
