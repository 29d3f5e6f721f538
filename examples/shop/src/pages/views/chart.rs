//! The geometry of the chart of payments per day: whole numbers for the SVG's attributes.

/// Payments of one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Day {
    /// The day as the axis shows it: "24 Nov".
    pub(crate) label: String,
    /// How many succeeded.
    pub(crate) succeeded: i64,
    /// How many failed.
    pub(crate) failed: i64,
    /// How many are not known yet.
    pub(crate) pending: i64,
}

/// Bars of succeeded, failed and pending payments upon each other, one for each day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chart {
    /// The days, earliest first.
    pub(crate) days: Vec<Day>,
    /// Their bars.
    pub(crate) bars: Vec<Bar>,
    /// The lines across, with the number each stands for.
    pub(crate) grid: Vec<(i64, i64)>,
}

/// The bar of one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bar {
    /// Its left edge.
    pub(crate) x: i64,
    /// Its middle, where the label goes.
    pub(crate) middle: i64,
    /// Its width.
    pub(crate) width: i64,
    /// Its parts from the bottom up, without empty ones.
    pub(crate) parts: Vec<Part>,
    /// The day's label, left out where labels would touch.
    pub(crate) label: Option<String>,
}

/// One part of a bar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// Its class in the style sheet.
    pub(crate) class: &'static str,
    /// Its upper edge.
    pub(crate) y: i64,
    /// Its height.
    pub(crate) height: i64,
}

impl Chart {
    /// The view box's width.
    pub(crate) const WIDTH: i64 = 480;
    /// The view box's height.
    pub(crate) const HEIGHT: i64 = 200;
    /// Where the axis begins.
    pub(crate) const LEFT: i64 = 30;
    /// Where the bars stand.
    pub(crate) const FLOOR: i64 = 172;
    const TOP: i64 = 12;
    const LABELS: i64 = 7;

    /// Draws some days.
    #[must_use]
    pub(crate) fn new(days: Vec<Day>) -> Self {
        let most = days.iter().map(|day| day.succeeded.saturating_add(day.failed).saturating_add(day.pending)).max();
        let top = round_up(most.unwrap_or(0));
        let count = i64::try_from(days.len()).unwrap_or(i64::MAX).max(1);
        let every = divide(count.saturating_add(Self::LABELS - 1), Self::LABELS).max(1);
        let bars = days.iter().zip(0_i64..).map(|(day, index)| {
            let left = Self::LEFT.saturating_add(divide((Self::WIDTH - Self::LEFT).saturating_mul(index), count));
            let slot = divide(Self::WIDTH - Self::LEFT, count).max(3);
            let width = divide(slot.saturating_mul(2), 3).clamp(2, 36);
            let x = left.saturating_add(divide(slot.saturating_sub(width), 2));
            let last = count.saturating_sub(1).saturating_sub(index);
            let label = (last.checked_rem(every) == Some(0)).then(|| day.label.clone());
            Bar { x, middle: x.saturating_add(divide(width, 2)), width, parts: parts(day, top), label }
        });
        let grid = [0, divide(top, 2), top].map(|value| (Self::FLOOR.saturating_sub(height(value, top)), value));
        Self { bars: bars.collect(), grid: grid.to_vec(), days }
    }

    /// What the chart says, in a sentence.
    pub(crate) fn summary(&self) -> String {
        let sum = |part: fn(&Day) -> i64| self.days.iter().map(part).fold(0, i64::saturating_add);
        format!(
            "{} days: {} payments succeeded, {} failed, {} are not known yet.",
            self.days.len(),
            sum(|day| day.succeeded),
            sum(|day| day.failed),
            sum(|day| day.pending)
        )
    }
}

fn parts(day: &Day, top: i64) -> Vec<Part> {
    let mut below = 0_i64;
    let mut parts = Vec::new();
    for (class, value) in [("succeeded", day.succeeded), ("failed", day.failed), ("pending", day.pending)] {
        let above = below.saturating_add(value.max(0));
        let (low, high) = (height(below, top), height(above, top));
        if high > low {
            parts.push(Part { class, y: Chart::FLOOR.saturating_sub(high), height: high.saturating_sub(low) });
        }
        below = above;
    }
    parts
}

fn height(value: i64, top: i64) -> i64 {
    divide((Chart::FLOOR - Chart::TOP).saturating_mul(value), top)
}

/// The next even number of the kind that people count in: 2, 4, 10, 20, 40, 100 …
fn round_up(most: i64) -> i64 {
    let mut step = 1_i64;
    loop {
        for factor in [2, 4, 10] {
            let top = step.saturating_mul(factor);
            if top >= most || top == i64::MAX {
                return top;
            }
        }
        step = step.saturating_mul(10);
    }
}

fn divide(value: i64, by: i64) -> i64 {
    value.checked_div(by).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{Chart, Day, round_up};

    fn day(succeeded: i64, failed: i64, pending: i64) -> Day {
        Day { label: "24 Nov".into(), succeeded, failed, pending }
    }

    #[test]
    fn axis_ends_at_a_round_number() {
        assert_eq!([0, 2, 3, 5, 11, 40, 41, i64::MAX].map(round_up), [2, 2, 4, 10, 20, 40, 100, i64::MAX]);
    }

    #[test]
    fn parts_stand_upon_each_other_and_inside_the_box() {
        let chart = Chart::new(vec![day(5, 3, 2), day(0, 0, 0), day(0, 1, 0)]);
        let parts = &chart.bars[0].parts;
        assert_eq!(parts.len(), 3);
        assert_eq!(parts[0].y + parts[0].height, Chart::FLOOR);
        assert_eq!(parts[1].y + parts[1].height, parts[0].y);
        assert_eq!(parts[2].y + parts[2].height, parts[1].y);
        assert!(chart.bars[1].parts.is_empty());
        assert!(chart.bars.iter().all(|bar| bar.x >= Chart::LEFT && bar.x + bar.width <= Chart::WIDTH));
    }

    #[test]
    fn no_days_are_no_bars() {
        assert!(Chart::new(Vec::new()).bars.is_empty());
        assert_eq!(Chart::new(vec![day(1, 0, 0); 30]).bars.iter().filter(|bar| bar.label.is_some()).count(), 6);
    }
}
