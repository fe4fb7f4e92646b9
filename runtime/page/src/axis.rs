//! Where a value lies on an axis, and which values are written beside it.

/// Numbers beside an axis: about so many.
const TICKS: f64 = 5.0;

/// A range of values on a line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Axis {
    min: f64,
    max: f64,
    logarithmic: bool,
    /// Whether only whole numbers are written beside it.
    whole: bool,
}

impl Axis {
    /// One that these values fill, from a round number to a round number; from 0 to 1 without any.
    pub fn linear(values: impl IntoIterator<Item = f64>) -> Self {
        let (min, max) = extremes(values).unwrap_or((0.0, 1.0));
        // Equal values lie in the middle.
        let margin = if max > min { 0.0 } else { (min.abs() * 0.05).max(0.5) };
        let step = step(max - min + 2.0 * margin);
        Self {
            min: ((min - margin) / step).floor() * step,
            max: ((max + margin) / step).ceil() * step,
            logarithmic: false,
            whole: false,
        }
    }

    /// One from exactly `min` to exactly `max`.
    pub fn exact(min: f64, max: f64) -> Self {
        Self {
            min,
            max: if max > min { max } else { min + 1.0 },
            logarithmic: false,
            whole: false,
        }
    }

    /// One from exactly `min` to exactly `max` for what is counted: its numbers are whole.
    pub fn counting(min: f64, max: f64) -> Self {
        Self {
            whole: true,
            ..Self::exact(min, max)
        }
    }

    /// One on which equal ratios are equally long, for the values above 0; from 1 to 10 without any.
    pub fn logarithmic(values: impl IntoIterator<Item = f64>) -> Self {
        let positive = values.into_iter().filter(|value| *value > 0.0);
        let (min, max) = extremes(positive).unwrap_or((1.0, 10.0));
        Self {
            min: min * 0.97,
            max: max * 1.03,
            logarithmic: true,
            whole: false,
        }
    }

    /// Where `value` lies, from 0 to 1; values beyond the ends lie at them.
    pub fn place(&self, value: f64) -> f64 {
        let place = match self.logarithmic {
            false => (value - self.min) / (self.max - self.min),
            true if value > 0.0 => (value / self.min).ln() / (self.max / self.min).ln(),
            true => 0.0,
        };
        if place.is_nan() { 0.0 } else { place.clamp(0.0, 1.0) }
    }

    /// Ends that divide the axis into so many equally long parts, from its beginning on.
    pub fn parts(&self, count: usize) -> Vec<f64> {
        let share = |part: usize| part as f64 / count as f64;
        let end = |part| match self.logarithmic {
            true => self.min * (self.max / self.min).powf(share(part)),
            false => self.min + (self.max - self.min) * share(part),
        };
        (0..=count).map(end).collect()
    }

    /// Round values on the axis, with how they are written.
    pub fn ticks(&self) -> Vec<(f64, String)> {
        let within = |value: &f64| (self.min..=self.max).contains(value);
        let decades = (self.max / self.min).log10();
        let mut values: Vec<f64> = Vec::new();
        if self.logarithmic {
            let (first, last) = (self.min.log10().floor() as i32, self.max.log10().ceil() as i32);
            let mantissas: &[f64] = if decades > 3.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
            let each = (first..=last).flat_map(|power| mantissas.iter().map(move |digit| digit * 10f64.powi(power)));
            values = each.filter(within).collect();
        }
        // A short logarithmic axis has hardly any of those.
        if values.len() < 3 {
            let least = if self.whole { 1.0 } else { 0.0 };
            let step = step(self.max - self.min).max(least);
            let first = (self.min / step - 1e-9).ceil();
            let each = (0..20).map(|number| (first + f64::from(number)) * step);
            values = each.take_while(|value| *value <= self.max + step * 1e-9).collect();
        }
        values.into_iter().map(|value| (value, short(value))).collect()
    }
}

fn extremes(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    let finite = values.into_iter().filter(|value| value.is_finite());
    finite.fold(None, |found, value| {
        let (min, max) = found.unwrap_or((value, value));
        Some((value.min(min), value.max(max)))
    })
}

/// 1, 2 or 5 times a power of ten, that divides `width` into about [`TICKS`] parts.
fn step(width: f64) -> f64 {
    let rough = width / TICKS;
    let power = 10f64.powf(rough.log10().floor());
    let digit = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|digit| rough <= digit * power * 1.0001);
    digit.unwrap_or(10.0) * power
}

/// A number with four digits at most, without zeros at its end; large ones with `k` or `M`.
pub fn short(value: f64) -> String {
    let size = value.abs();
    let (value, unit) = match size {
        size if size >= 1e6 => (value / 1e6, "M"),
        size if size >= 1e4 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let size = value.abs();
    let decimals = match size {
        size if size >= 1000.0 || size == 0.0 => 0,
        size if size >= 1.0 => 3 - size.log10().floor() as usize,
        size => (2 - size.log10().floor() as i32).min(9) as usize,
    };
    let text = format!("{value:.decimals$}");
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    format!("{text}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(axis: Axis) -> Vec<String> {
        axis.ticks().into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn a_linear_axis_ends_at_round_numbers() {
        let axis = Axis::linear([0.31, 0.94]);
        assert_eq!(written(axis), ["0.2", "0.4", "0.6", "0.8", "1"]);
        assert!((axis.place(0.6) - 0.5).abs() < 1e-12);
        assert_eq!(
            (axis.place(-9.0), axis.place(f64::NAN), axis.place(9.0)),
            (0.0, 0.0, 1.0)
        );
        assert_eq!(written(Axis::linear([52.0])), ["48", "50", "52", "54", "56"]);
        assert_eq!(
            written(Axis::linear([f64::INFINITY])),
            ["0", "0.2", "0.4", "0.6", "0.8", "1"]
        );
    }

    #[test]
    fn a_logarithmic_axis_has_decades_or_where_it_is_short_some_numbers() {
        let axis = Axis::logarithmic([0.1, 1000.0, 0.0]);
        assert_eq!(written(axis), ["0.1", "1", "10", "100", "1000"]);
        assert!((axis.place(10.0) - 0.5).abs() < 0.01);
        assert_eq!(written(Axis::logarithmic([1.0, 20.0])), ["1", "2", "5", "10", "20"]);
        assert_eq!(written(Axis::logarithmic([0.61, 0.68])), ["0.6", "0.65", "0.7"]);
        let parts = Axis::logarithmic([1.0, 100.0]).parts(2);
        assert!((parts[1] - 10.0).abs() < 0.1, "{parts:?}");
    }

    #[test]
    fn a_counting_axis_has_whole_numbers() {
        assert_eq!(written(Axis::counting(1.0, 3.0)), ["1", "2", "3"]);
        assert_eq!(written(Axis::counting(1.0, 10.0)), ["2", "4", "6", "8", "10"]);
    }

    #[test]
    fn numbers_are_short() {
        let texts = [0.0, 0.000_123_4, 0.25, 1.0, 12.345, 999.96, 2400.0, 12_500.0, 3e6, -4.0].map(short);
        assert_eq!(
            texts,
            [
                "0", "0.000123", "0.25", "1", "12.35", "1000", "2400", "12.5k", "3M", "-4"
            ]
        );
    }
}
