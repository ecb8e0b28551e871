//! The page at `/`: what a browser shows of a running process, from `/status.json`, once a second.
//!
//! Plain HTML, one style sheet and three scripts of ours (what it is made of, the box for questions, all else), and
//! uPlot, a chart library, as it is published. All of it is in the binary, so that it works offline, and nothing else
//! may be loaded: see [`HEAD`].

use axum::Router;
use axum::http::{HeaderName, HeaderValue, header};
use axum::routing::get;

use super::process::ProcessStatus;

/// The files of the page, by path, with their types.
const FILES: [(&str, &str, &str); 8] = [
    ("/", "text/html; charset=utf-8", include_str!("page/index.html")),
    ("/page/page.css", "text/css; charset=utf-8", include_str!("page/page.css")),
    ("/page/page.js", "text/javascript; charset=utf-8", include_str!("page/page.js")),
    ("/page/elements.js", "text/javascript; charset=utf-8", include_str!("page/elements.js")),
    ("/page/records.js", "text/javascript; charset=utf-8", include_str!("page/records.js")),
    ("/page/icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
    ("/page/uplot.js", "text/javascript; charset=utf-8", include_str!("page/uplot/uPlot.iife.min.js")),
    ("/page/uplot.css", "text/css; charset=utf-8", include_str!("page/uplot/uPlot.min.css")),
];

/// What every answer to a browser says: load nothing from elsewhere, run nothing that is written into the page, be in no
/// frame, keep nothing.
pub(super) const HEAD: [(HeaderName, HeaderValue); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    ),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
];

/// The routes of the page.
pub(super) fn router() -> Router<ProcessStatus> {
    let route = |router: Router<ProcessStatus>, (path, kind, text): (&'static str, &'static str, &'static str)| {
        router.route(path, get(move || async move { ([(header::CONTENT_TYPE, kind)], text) }))
    };
    FILES.into_iter().fold(Router::new(), route)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::digest::sha256_hexadecimal;

    /// From the package `uplot`, version 1.6.32, of npm: `dist/` and `LICENSE`.
    #[test]
    fn the_chart_library_is_the_published_one() {
        for (text, sha256) in [
            (
                include_str!("page/uplot/uPlot.iife.min.js"),
                "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
            ),
            (
                include_str!("page/uplot/uPlot.min.css"),
                "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
            ),
            (include_str!("page/uplot/LICENSE"), "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd"),
        ] {
            assert_eq!(sha256_hexadecimal(text.as_bytes()), sha256);
        }
    }

    #[test]
    fn the_page_loads_its_own_files_alone_and_makes_no_markup_of_texts() {
        let page = FILES[0].2;
        let paths = page.split(['"', '\'']).filter(|word| word.starts_with('/') && word.len() > 1);
        let ours =
            |path: &str| FILES.iter().any(|(ours, ..)| *ours == path) || ["/status.json", "/metrics"].contains(&path);
        assert!(paths.clone().count() > 5 && paths.clone().all(ours), "{:?}", paths.collect::<Vec<_>>());
        for inline in ["<style", "style=", "onclick", "onload", "javascript:", "<script>", "http:", "https:"] {
            assert!(!page.contains(inline), "{inline}");
        }
        for (path, _, script) in &FILES[2..5] {
            assert!(path.ends_with(".js"));
            for markup in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("] {
                assert!(!script.contains(markup), "{path}: {markup}");
            }
            let imports = script.split('"').filter(|word| word.ends_with(".js"));
            assert!(imports.clone().all(ours), "{path}: {:?}", imports.collect::<Vec<_>>());
        }
        let bytes: usize = FILES.iter().map(|(_, _, text)| text.len()).sum();
        assert!(bytes < 130_000, "{bytes} bytes");
    }
}
