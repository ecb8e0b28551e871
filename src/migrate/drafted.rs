//! Drafted: what a pipeline file says of an input, line by line.

/// What a pipeline file says of an input.
#[derive(Debug, Default)]
pub(super) struct Drafted {
    /// Options of `files`, and comments.
    pub(super) files: Vec<String>,
    /// What stands above all of it.
    pub(super) comments: Vec<String>,
    /// Steps of `enrich`, and comments.
    pub(super) enrich: Vec<String>,
    /// What a container runtime has put around a line.
    pub(super) wrapper: Option<&'static str>,
    /// Whether a line is JSON.
    pub(super) is_json: bool,
    /// Further decoders, and comments before the list.
    pub(super) expand: Vec<String>,
    /// Below this name Filebeat has put the members of a line.
    pub(super) target: Option<String>,
    /// Whether a processor reads the time.
    pub(super) is_timed: bool,
}

impl Drafted {
    /// What `decode` is.
    pub(super) fn decode(&self) -> String {
        // What is no JSON Filebeat ships as a text, and so does this.
        let json = "{ json: { other_text: wrap } }".to_owned();
        let parts: Vec<String> =
            self.wrapper.iter().map(|it| (*it).to_owned()).chain([json]).chain(self.expand.iter().cloned()).collect();
        match parts.as_slice() {
            [alone] => alone.clone(),
            parts => format!("[{}]", parts.join(", ")),
        }
    }

    /// Takes an option of `files`.
    pub(super) fn file(&mut self, option: &str, value: &str) {
        self.files.push(format!("{option}: {value}"));
    }
}
