//! A client of OSRM's table service: seconds by road between one block and many.

use crate::values::TravelMode;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};
use serde::Deserialize;

use super::{Block, LONGEST_MINUTES};

/// How long an answer may take; nobody waits for it but a job.
const PATIENCE: Duration = Duration::from_secs(5);

/// The most bytes of an answer: a row of seconds is far shorter.
const MOST_BYTES: usize = 64 * 1024;

/// The ways from one block to others, or from others to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub mode: TravelMode,
    pub hub: Block,
    /// Whether the ways lead away from the hub.
    pub outward: bool,
    pub others: Vec<Block>,
}

/// A routing service.
#[derive(Clone)]
pub(super) struct Osrm {
    base: String,
    http: Client,
}

#[derive(Deserialize)]
struct Answer {
    code: String,
    durations: Option<Vec<Vec<Option<f64>>>>,
}

/// What the service calls a way of getting about; none for those that keep to a timetable.
pub(super) fn profile(mode: TravelMode) -> Option<&'static str> {
    match mode {
        TravelMode::Car => Some("car"),
        TravelMode::Bicycle => Some("bicycle"),
        TravelMode::Walk => Some("foot"),
        TravelMode::Transit => None,
    }
}

impl Osrm {
    /// The service at `url`.
    pub fn new(url: &Url) -> Result<Self, String> {
        let http = Client::builder().timeout(PATIENCE).redirect(Policy::none()).build();
        let http = http.map_err(|error| format!("no HTTP client: {error}"))?;
        Ok(Self { base: url.as_str().trim_end_matches('/').to_owned(), http })
    }

    /// The seconds of each way of the table, in its order; none where no road was found.
    ///
    /// # Errors
    /// Says what was wrong with the answer, or that there was none.
    pub async fn seconds(&self, table: &Table) -> Result<Vec<Option<i32>>, String> {
        let plain = |error: reqwest::Error| error.without_url().to_string();
        let mut response = self.http.get(self.url(table)).send().await.map_err(plain)?;
        // It understood, and knows no roads there.
        if response.status() == StatusCode::BAD_REQUEST {
            return Ok(vec![None; table.others.len()]);
        }
        if response.status() != StatusCode::OK {
            return Err(format!("it answered {}", response.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(plain)? {
            if body.len() + chunk.len() > MOST_BYTES {
                return Err("its answer is too long".to_owned());
            }
            body.extend_from_slice(&chunk);
        }
        read(&body, table)
    }

    fn url(&self, table: &Table) -> String {
        let coordinates = std::iter::once(&table.hub).chain(&table.others).map(|block| {
            let middle = block.middle();
            format!("{:.4},{:.4}", middle.longitude, middle.latitude)
        });
        let others: Vec<String> = (1..=table.others.len()).map(|index| index.to_string()).collect();
        let (hub, others) = ("0".to_owned(), others.join(";"));
        let (sources, destinations) = if table.outward { (hub, others) } else { (others, hub) };
        format!(
            "{}/table/v1/{}/{}?sources={sources}&destinations={destinations}&annotations=duration",
            self.base,
            profile(table.mode).unwrap_or_default(),
            coordinates.collect::<Vec<_>>().join(";"),
        )
    }
}

/// The seconds in an answer, if it is one to this question.
fn read(body: &[u8], table: &Table) -> Result<Vec<Option<i32>>, String> {
    let answer: Answer = serde_json::from_slice(body).map_err(|_| "its answer is no table".to_owned())?;
    let count = table.others.len();
    let (rows, columns) = if table.outward { (1, count) } else { (count, 1) };
    let durations = answer.durations.filter(|_| answer.code == "Ok").ok_or("its answer holds no durations")?;
    if durations.len() != rows || durations.iter().any(|row| row.len() != columns) {
        return Err("its table is of another size".to_owned());
    }
    let longest = f64::from(LONGEST_MINUTES) * 60.0;
    let seconds = durations.into_iter().flatten().map(|seconds| match seconds {
        Some(seconds) if !(0.0..=f64::MAX).contains(&seconds) => Err("it knows of negative times".to_owned()),
        #[expect(clippy::cast_possible_truncation, reason = "at most the longest journey")]
        seconds => Ok(seconds.map(|seconds| seconds.ceil().min(longest) as i32)),
    });
    seconds.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::Point;

    fn table(outward: bool) -> Table {
        let block = |longitude| Block::of(Point { latitude: -33.8981, longitude });
        Table { mode: TravelMode::Walk, hub: block(151.1743), outward, others: vec![block(151.21), block(151.28)] }
    }

    #[test]
    fn a_question_names_longitudes_first() {
        let osrm = Osrm::new(&"http://roads.test/osrm/".parse().expect("a URL")).expect("a client");
        assert_eq!(
            osrm.url(&table(true)),
            "http://roads.test/osrm/table/v1/foot/151.1725,-33.8975;151.2125,-33.8975;151.2825,-33.8975\
             ?sources=0&destinations=1;2&annotations=duration"
        );
        assert!(osrm.url(&table(false)).ends_with("?sources=1;2&destinations=0&annotations=duration"));
    }

    #[test]
    fn an_answer_must_fit_the_question() {
        let answer = |durations: &str| format!(r#"{{"code":"Ok","durations":{durations},"sources":[]}}"#);
        let outward = |durations| read(answer(durations).as_bytes(), &table(true));
        assert_eq!(outward("[[59.2, null]]"), Ok(vec![Some(60), None]));
        assert_eq!(outward("[[0, 1e300]]"), Ok(vec![Some(0), Some(43_200)]));
        assert_eq!(read(answer("[[60],[90]]").as_bytes(), &table(false)), Ok(vec![Some(60), Some(90)]));
        for wrong in ["[[60],[90]]", "[[60]]", "[[60, 70, 80]]", "[]", "[[60, -1]]", "[[60, \"x\"]]", "null"] {
            assert!(outward(wrong).is_err(), "{wrong}");
        }
        for garbage in ["", "{}", "<html>", r#"{"code":"NoTable","durations":[[1,2]]}"#] {
            assert!(read(garbage.as_bytes(), &table(true)).is_err(), "{garbage}");
        }
    }
}
