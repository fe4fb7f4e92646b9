//! The report as text.

use std::fmt;

use super::Report;
use crate::inspect::table::write;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (data, images) = (&self.data, self.images);
        writeln!(f, "{data}: {images} test images, {} classes\n", self.classes.len())?;
        let sentences = self.headline.iter().flat_map(|headline| &headline.sentences);
        for sentence in sentences {
            writeln!(f, "{sentence}")?;
        }
        if self.headline.is_some() {
            writeln!(f)?;
        }
        let head = [
            "",
            "",
            "top-1 %",
            "p50 ms",
            "ONNX bytes",
            "MACs",
            "parameters",
            "ECE %",
            "same error %",
        ];
        let mut rows = vec![head.map(str::to_owned)];
        for (number, model) in self.models.iter().enumerate() {
            let same = model
                .measured
                .first()
                .and_then(|seed| seed.repeated.first()?.same_class);
            rows.push([
                (number + 1).to_string(),
                model.name.escape_debug().to_string(),
                model.top1.to_string(),
                or_dash(model.latency_ms.map(|latency| format!("{:.3}", latency.p50))),
                model.bytes.to_string(),
                model.macs.to_string(),
                model.parameters.to_string(),
                model.ece_after.as_ref().unwrap_or(&model.ece_before).to_string(),
                or_dash(same.map(|share| format!("{:.1}", share.percent))),
            ]);
        }
        write(f, &rows)?;
        for note in &self.notes {
            writeln!(f, "{note}")?;
        }
        Ok(())
    }
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "–".to_owned())
}
