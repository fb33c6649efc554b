//! Plugins that the embedding program brings: their settings, what they serve, and how they are.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use openadr_ven::fact::Fact;
use openadr_ven::mock_vtn::KeyKind;
use openadr_ven::plugin::{Health, Plugin, PluginContext, PluginError, Request, Response, Route};
use openadr_ven::testing::RecordingSink;
use openadr_ven::time::Span;
use openadr_ven::{Config, Ven, VenHandle};
use serde_json::{Map, Value, json};

use crate::http_api::telegram;
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

/// Has a telegram from somewhere, and gives it to a meter once all of the VEN runs.
#[derive(Default)]
struct Radio {
    context: std::sync::OnceLock<PluginContext>,
}

impl Plugin for Radio {
    fn topics(&self) -> Vec<String> {
        vec!["registration.*".to_owned()]
    }

    async fn initialize(&self, context: PluginContext) -> Result<(), PluginError> {
        self.context.set(context).map_err(|_| "twice".into())
    }

    async fn on_event(&self, _: Arc<Fact>) -> Result<(), PluginError> {
        let context = self.context.get().unwrap();
        let damaged = telegram("000100.000").replace("00.350", "00.850");
        let refused = context.telegram(Some("main"), damaged.into_bytes()).await.unwrap_err();
        assert!(refused.to_string().contains("checksum"), "{refused}");
        let unknown = context.telegram(Some("attic"), Vec::new()).await.unwrap_err().to_string();
        assert_eq!(unknown, "no meter called \"attic\" takes telegrams; expected one of main");
        Ok(context.telegram(None, telegram("000123.456").into_bytes()).await?)
    }
}

/// The same in another language.
const RADIO: &str = r#"
import base64, json, sys
say = lambda **members: print(json.dumps(members), flush=True)
say(v=[1], name="radio", kinds=["event"], topics=["registration.*"])
for line in sys.stdin:
    asked = json.loads(line)
    say(id=asked["id"], ok=True)
    if asked["kind"] == "event":
        telegram = open(sys.argv[1], "rb").read()
        say(telegram="nothing of a meter", meter="attic")
        say(telegram=telegram.decode().replace("00.350", "00.850"), meter="main")
        say(telegram_base64=base64.b64encode(telegram).decode())
    if asked["kind"] == "close":
        break
"#;

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
    let loud = |facts: &[&Fact]| Ok(format!("{} W!", facts[0].data["watt"]));
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

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_gives_a_meter_its_telegrams_which_are_judged_as_those_of_a_line() {
    let house = House::new(KeyKind::P256);
    let vtn = house.vtn(Span::SECOND).await;
    std::fs::write(house.path("radio.py"), RADIO).unwrap();
    std::fs::write(house.path("telegram"), telegram("000123.456")).unwrap();
    let paths = ["radio.py", "telegram"].map(|name| house.path(name).display().to_string());
    let exec = format!("command = [\"python3\", \"{}\", \"{}\"]", paths[0], paths[1]);
    for plugin in ["kind = \"rust\"", &exec] {
        let sink = RecordingSink::start().await.unwrap();
        let more = format!(
            "[[meter]]\nname = \"main\"\nsource = \"api\"\n[[plugin]]\nname = \"radio\"\n{plugin}\n\
             [[hook]]\nname = \"mine\"\ntype = \"http\"\nurl = \"{}\"\ntopics = [\"meter.reading\", \"meter.rejected\"]\n\
             allow_private = true\n",
            sink.url()
        );
        let builder = Ven::builder(Config::load(&house.configure(&vtn.url(), &more)).unwrap());
        let builder = if plugin == exec { builder } else { builder.plugin("radio", Radio::default()) };
        let ven = builder.start().await.unwrap();
        let told = sink.until(2, PATIENCE).await;
        let facts: Vec<Value> = told.iter().map(|told| serde_json::from_slice(&told.body).unwrap()).collect();
        let of = |topic: &str| facts.iter().find(|fact| fact["type"] == topic).unwrap()["data"].clone();
        let rejected = of("meter.rejected");
        assert!(rejected["meter"] == "main" && rejected["kind"] == "checksum", "{rejected}");
        let reading = of("meter.reading");
        assert!(reading["meter"] == "main" && reading["import_kwh"] == "123.456", "{reading}");
        ven.stop().await;
    }
    vtn.stop().await;
}
