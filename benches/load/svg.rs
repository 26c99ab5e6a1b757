//! Two kinds of picture, written by hand: lines and bars. The colours stand out on a light and on a
//! dark page; the ground is the page's own.

use std::fmt::Write as _;

const WIDTH: f64 = 784.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 88.0;
const RIGHT: f64 = 190.0;
const TOP: f64 = 56.0;
const BOTTOM: f64 = 52.0;
/// Labels at the ends of lines keep this distance.
const LABEL_STEP: f64 = 16.0;

/// How a line is drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Stroke {
    Measured,
    /// The bare machine.
    Floor,
}

/// One line, with its name at its end.
pub struct Series {
    pub name: String,
    pub colour: &'static str,
    pub stroke: Stroke,
    pub points: Vec<(f64, f64)>,
}

/// What stands around lines or bars.
pub struct Frame<'a> {
    pub title: &'a str,
    pub subtitle: &'a str,
    pub x: &'a str,
    pub y: &'a str,
    pub x_most: f64,
    pub y_most: f64,
}

impl Frame<'_> {
    fn at_x(&self, value: f64) -> f64 {
        LEFT + value / self.x_most * (WIDTH - LEFT - RIGHT)
    }

    fn at_y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - value / self.y_most * (HEIGHT - TOP - BOTTOM)
    }

    /// A line through each series' points.
    pub fn lines(&self, series: &[Series]) -> String {
        let mut svg = self.begin();
        self.grid_y(&mut svg, &ticks(self.y_most), &|value| short(value));
        let mut labels = Vec::new();
        for Series { name, colour, stroke, points } in series {
            let path: Vec<String> = points
                .iter()
                .map(|&(x, y)| format!("{:.1},{:.1}", self.at_x(x), self.at_y(y.min(self.y_most))))
                .collect();
            let dash = if *stroke == Stroke::Floor { " stroke-dasharray=\"5 5\"" } else { "" };
            let _ = writeln!(
                svg,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2.5\"{dash}/>",
                path.join(" ")
            );
            if *stroke == Stroke::Measured {
                for &(x, y) in points {
                    let (x, y) = (self.at_x(x), self.at_y(y));
                    let _ = writeln!(
                        svg,
                        "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>"
                    );
                }
            }
            if let Some(&(x, y)) = points.last() {
                labels.push((self.at_y(y.min(self.y_most)), self.at_x(x), name, colour));
            }
        }
        labels.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut above = f64::NEG_INFINITY;
        for (y, x, name, colour) in labels {
            let y = y.max(above + LABEL_STEP);
            above = y;
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\" font-weight=\"600\">{name}</text>",
                x + 10.0,
                y + 4.0
            );
        }
        svg + "</svg>\n"
    }

    /// Bars of shares from 1 down to `least`, on a logarithmic scale; `width` is one bar's on the x axis.
    pub fn bars(&self, shares: &[f64], width: f64, least: f64, colour: &str) -> String {
        let decades = -least.log10();
        let height = |share: f64| (share.max(least).log10() + decades) / decades * self.y_most;
        let mut svg = self.begin();
        let values: Vec<f64> =
            (0..=decades as usize).map(|n| self.y_most * n as f64 / decades).collect();
        self.grid_y(&mut svg, &values, &|value| {
            let share = 10_f64.powf(value / self.y_most * decades - decades) * 100.0;
            format!("{} %", (share * 1e6).round() / 1e6)
        });
        for (number, &share) in shares.iter().enumerate().filter(|(_, share)| **share > 0.0) {
            let (x, y) = (self.at_x(number as f64 * width), self.at_y(height(share)));
            let (bar, tall) = (self.at_x(width) - LEFT - 1.0, HEIGHT - BOTTOM - y);
            let _ = writeln!(
                svg,
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{bar:.1}\" height=\"{tall:.1}\" fill=\"{colour}\"/>"
            );
        }
        svg + "</svg>\n"
    }

    fn begin(&self) -> String {
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             font-family=\"system-ui, -apple-system, 'Segoe UI', sans-serif\" font-size=\"12\" role=\"img\">\n\
             <title>{}</title>\n\
             <style>.ink{{fill:#57606a}}.head{{fill:#24292f}}.rule{{stroke:#8c959f;stroke-opacity:.3}}\
             @media(prefers-color-scheme:dark){{.ink{{fill:#9da7b3}}.head{{fill:#e6edf3}}}}</style>\n\
             <text class=\"head\" x=\"{LEFT}\" y=\"20\" font-size=\"16\" font-weight=\"600\">{}</text>\n\
             <text class=\"ink\" x=\"{LEFT}\" y=\"39\">{}</text>\n",
            self.title, self.title, self.subtitle
        );
        for value in ticks(self.x_most) {
            let (x, y) = (self.at_x(value), HEIGHT - BOTTOM + 18.0);
            let _ = writeln!(
                svg,
                "<text class=\"ink\" x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\">{}</text>",
                short(value)
            );
        }
        let (middle, low) = ((LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 12.0);
        let centre = (TOP + HEIGHT - BOTTOM) / 2.0;
        let _ = writeln!(
            svg,
            "<text class=\"ink\" x=\"{middle}\" y=\"{low}\" text-anchor=\"middle\">{}</text>\n\
             <text class=\"ink\" transform=\"translate(16 {centre}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            self.x, self.y
        );
        svg
    }

    fn grid_y(&self, svg: &mut String, values: &[f64], text: &dyn Fn(f64) -> String) {
        for &value in values {
            let (y, right, x) = (self.at_y(value), WIDTH - RIGHT, LEFT - 8.0);
            let _ = writeln!(
                svg,
                "<line class=\"rule\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\"/>\n\
                 <text class=\"ink\" x=\"{x}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                y + 4.0,
                text(value)
            );
        }
    }
}

/// Four to eight round numbers from 0.
fn ticks(most: f64) -> Vec<f64> {
    let step = step(most);
    (0..=(most / step + 1e-9) as usize).map(|number| number as f64 * step).collect()
}

/// The end of an axis that has room for `most`: the next round number.
pub fn end_of_axis(most: f64) -> f64 {
    let step = step(most);
    (most / step - 1e-9).ceil() * step
}

fn step(most: f64) -> f64 {
    let rough = most / 6.0;
    let size = 10_f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 2.5, 5.0, 10.0].map(|factor| factor * size);
    steps.into_iter().find(|step| *step >= rough).unwrap_or(size * 10.0)
}

/// `6,000`, `0.5`
fn short(value: f64) -> String {
    if value >= 1_000.0 {
        let (thousands, rest) = ((value / 1_000.0).floor(), value % 1_000.0);
        return format!("{thousands},{rest:03.0}");
    }
    format!("{}", (value * 1_000.0).round() / 1_000.0)
}
