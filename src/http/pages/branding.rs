//! The branding of the pages: name, color and logo.

use super::color::Color;

/// The name, the color and the logo of the service.
#[derive(Debug, Clone)]
pub struct Branding {
    pub name: String,
    /// The color of buttons and links.
    pub color: Color,
    /// `None` means the default logo.
    pub logo: Option<Logo>,
}

/// An image with its media type.
#[derive(Debug, Clone)]
pub struct Logo {
    pub kind: &'static str,
    pub bytes: Vec<u8>,
}

/// The default logo, whose colors are replaced.
const LOGO: &str = include_str!("logo.svg");
const SVG: &str = "image/svg+xml";
const STYLE: &str = include_str!("page.css");

/// The background colors in `page.css`.
const LIGHT: [Color; 2] = [Color([0xf4, 0xf4, 0xf0]), Color([0xff, 0xff, 0xff])];
const DARK: [Color; 2] = [Color([0x12, 0x15, 0x18]), Color([0x1d, 0x21, 0x25])];

impl Branding {
    /// The media type and the bytes of the logo.
    pub fn logo(&self) -> (&'static str, Vec<u8>) {
        if let Some(logo) = &self.logo {
            return (logo.kind, logo.bytes.clone());
        }
        let (color, ink) = (self.color.to_string(), self.color.ink().to_string());
        let svg = LOGO.replace("#0b5f5a", &color).replace("#ffffff", &ink);
        (SVG, svg.into_bytes())
    }

    /// The stylesheet of the pages: the colors, followed by the constant part.
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
        let site = Branding { name: "Wiki".to_owned(), color: Color([0xff, 0xdd, 0]), logo: None };
        let (kind, svg) = site.logo();
        let svg = String::from_utf8(svg).unwrap();
        assert_eq!(kind, "image/svg+xml");
        assert!(svg.contains("#ffdd00") && !svg.contains("#0b5f5a") && !svg.contains("#ffffff"));
        assert!(site.style().contains("--accent: #ffdd00; --on-accent: #000000;"));
    }
}
