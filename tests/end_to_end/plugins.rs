//! Plugins that the embedding program brings: their settings, what they serve, and how they are.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use openadr_ven::mock_vtn::KeyKind;
use openadr_ven::plugin::{Health, Plugin, PluginContext, PluginError, Request, Response, Route};
use openadr_ven::testing::RecordingSink;
use openadr_ven::time::Span;
use openadr_ven::{Config, Ven, VenHandle};
use serde_json::{Map, Value, json};

use crate::support::{House, PATIENCE, TOKEN};

/// A lamp that tells its settings and how it is, and publishes what it does of its own accord.
#[derive(Clone, Default)]
struct Lamp {
    broken: Arc<AtomicBool>,
    settings: Arc<std::sync::Mutex<Map<String, Value>>>,
}

impl Plugin for Lamp {
    async fn initialize(&self, context: PluginContext) -> Result<(), PluginError> {
        self.settings.lock().unwrap().clone_from(context.config());
        Ok(())
    }

    async fn run(&self, context: PluginContext) -> Result<(), PluginError> {
        context.publish("lit", None, Map::from_iter([("watt".to_owned(), json!("60"))]))?;
        std::future::pending().await
    }

    fn routes(&self) -> Vec<Route> {
        vec![Route::new("GET", "settings")]
    }

    async fn on_request(&self, request: Request) -> Response {
        assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", "settings"));
        Response::json(200, &Value::Object(self.settings.lock().unwrap().clone()))
    }

    fn health(&self) -> Health {
        if self.broken.load(Ordering::SeqCst) {
            Health::Ill("the bulb is broken".to_owned())
        } else {
            Health::Well
        }
    }
}

/// What `GET` of a path answers: the status and the body.
async fn get(ven: &VenHandle, path: &str) -> (u16, String) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let address = ven.http_address().unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let token = format!("authorization: Bearer {TOKEN}\r\n");
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n{token}connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// Waits until `GET` of a path answers like this.
async fn until(ven: &VenHandle, path: &str, wanted: impl Fn(u16, &str) -> bool) {
    let look = async {
        loop {
            let (status, body) = get(ven, path).await;
            if wanted(status, &body) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, look).await.unwrap_or_else(|_| panic!("{path} did not come to that"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_of_the_program_has_settings_serves_paths_and_says_how_it_is() {
    let house = House::new(KeyKind::P256);
    let vtn = house.vtn(Span::SECOND).await;
    let sink = RecordingSink::start().await.unwrap();
    std::fs::write(house.path("key"), "s3cret\n").unwrap();
    house.write_secret("token", TOKEN);
    let more = format!(
        "[http]\nlisten = \"127.0.0.1:0\"\n[[http.token]]\nname = \"test\"\ntoken = \"${{file:token}}\"\n\
         scopes = [\"read\", \"plugin:lamp\", \"plugin:off\"]\n[[plugin]]\nkind = \"rust\"\nname = \"lamp\"\n\
         [plugin.config]\nroom = \"kitchen\"\nkey = \"${{file:key}}\"\n\
         [[plugin]]\nkind = \"rust\"\nname = \"off\"\nenabled = false\n\
         [[hook]]\nname = \"mine\"\ntype = \"http\"\nurl = \"{}\"\ntopics = [\"x.lamp.*\"]\nserializer = \"loud\"\n\
         content_type = \"text/plain\"\nallow_private = true\n",
        sink.url()
    );
    let config = Config::load(&house.configure(&vtn.url(), &more)).unwrap();
    let lamp = Lamp::default();
    let missing = Ven::builder(config.clone()).plugin("lamp", lamp.clone()).start().await.unwrap_err();
    let missing = missing.to_string();
    assert!(missing.contains("hook.mine: serializer: no serializer is called \"loud\""), "{missing}");
    let loud = |facts: &[&openadr_ven::fact::Fact]| Ok(format!("{} W!", facts[0].data["watt"]));
    let builder = || Ven::builder(config.clone()).serializer("loud", loud).plugin("lamp", lamp.clone());
    let missing = builder().start().await.unwrap_err().to_string();
    assert!(
        missing.contains("plugin[1].name: the program brings no plugin \"off\"; it brings lamp"),
        "{missing}"
    );
    let off = Lamp::default();
    let ven = builder().plugin("off", off).start().await.unwrap();
    let told = sink.until(1, PATIENCE).await;
    assert_eq!(String::from_utf8_lossy(&told[0].body), "\"60\" W!");
    let (status, settings) = get(&ven, "/plugins/lamp/settings").await;
    assert_eq!((status, settings.as_str()), (200, r#"{"room":"kitchen","key":"s3cret"}"#));
    assert_eq!(get(&ven, "/plugins/lamp/other").await.0, 404);
    assert_eq!(get(&ven, "/plugins/off/settings").await.0, 404, "it does not run");
    until(&ven, "/readyz", |status, _| status == 200).await;
    lamp.broken.store(true, Ordering::SeqCst);
    until(&ven, "/readyz", |status, body| status == 503 && body.contains("the bulb is broken")).await;
    lamp.broken.store(false, Ordering::SeqCst);
    until(&ven, "/readyz", |status, _| status == 200).await;
    ven.stop().await;
    vtn.stop().await;
}
