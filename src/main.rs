use siskin::config::{Request, Surroundings, load};
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let _ = tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).with_writer(std::io::stderr).try_init();
    if args.get(1).map(String::as_str) == Some("engine") {
        siskin::librespot::run(|_| ()).unwrap();
        return;
    }
    let request = Request { file: args.get(3).map(Into::into), ..Default::default() };
    let loaded = load(&request, &Surroundings::of_this_process()).unwrap_or_else(|p| panic!("{p}"));
    let rt = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    rt.block_on(siskin::daemon::run(loaded.config, || Err("x".into()))).unwrap();
}
