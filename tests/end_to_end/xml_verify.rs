//! `ven xml verify` as a general verifier of XML signatures, with what xmlsec1 and signxml sign.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::peers::peer;
use tempfile::TempDir;

const C14N: [&str; 6] = [
    "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
    "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments",
    "http://www.w3.org/2006/12/xml-c14n11",
    "http://www.w3.org/2006/12/xml-c14n11#WithComments",
    "http://www.w3.org/2001/10/xml-exc-c14n#",
    "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
];
const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
const MORE: &str = "http://www.w3.org/2001/04/xmldsig-more#";
const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";

/// A folder with keys, and the programs beside it.
struct Bench {
    folder: TempDir,
    xmlsec1: PathBuf,
}

impl Bench {
    fn new() -> Option<Self> {
        let (xmlsec1, openssl) = (peer("xmlsec1")?, peer("openssl")?);
        let bench = Self { folder: tempfile::tempdir().unwrap(), xmlsec1 };
        for (name, kind) in
            [("rsa", "rsa:2048"), ("other", "rsa:2048"), ("p256", "ec:P-256"), ("p384", "ec:P-384")]
        {
            let curve = kind.strip_prefix("ec:").map(|curve| format!("ec_paramgen_curve:{curve}"));
            let curve: Vec<_> = curve.iter().flat_map(|curve| ["-pkeyopt", curve]).collect();
            let kind = if curve.is_empty() { kind } else { "ec" };
            let mut command = Command::new(&openssl);
            command
                .args(["req", "-x509", "-nodes", "-days", "9", "-subj", "/CN=x", "-newkey", kind])
                .args(curve);
            done(
                command.arg("-keyout").arg(bench.path(name, "key")).arg("-out").arg(bench.path(name, "pem")),
            );
            let public =
                done(Command::new(&openssl).args(["pkey", "-pubout", "-in"]).arg(bench.path(name, "key")));
            std::fs::write(bench.path(name, "pub"), public.stdout).unwrap();
        }
        Some(bench)
    }

    fn path(&self, name: &str, ending: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.{ending}"))
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name, "xml");
        std::fs::write(&path, text).unwrap();
        path
    }

    /// xmlsec1 signs a template, and believes what it has signed.
    fn sign(&self, key: &[&str], template: &str) -> String {
        let input = self.write("template", template);
        let keys: Vec<_> =
            key.iter().map(|word| word.replace("DIR", self.folder.path().to_str().unwrap())).collect();
        let ids = ["--id-attr:Id", "urn:r:a", "--id-attr:name", "urn:r:b"];
        let run = |command: &str, file: &Path| {
            done(Command::new(&self.xmlsec1).arg(command).args(&keys).args(ids).arg(file))
        };
        let signed = String::from_utf8(run("--sign", &input).stdout).unwrap();
        run("--verify", &self.write("signed", &signed));
        signed
    }

    fn verify(&self, text: &str, more: &[&str]) -> Output {
        let file = self.write("signed", text);
        ven(&file, self.folder.path(), more)
    }

    fn valid(&self, text: &str, trusted: &str, covers: &str) {
        let output = self.verify(text, &[trusted]);
        assert_eq!(output.status.code(), Some(0), "{}\n{text}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8_lossy(&output.stdout), format!("valid: covers {covers}\n"));
    }

    fn refused(&self, text: &str, key: &str, why: &str) {
        invalid(&self.verify(text, &[&format!("--trusted=DIR/{key}.pem")]), why);
    }
}

fn done(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn ven(file: &Path, folder: &Path, more: &[&str]) -> Output {
    let more = more.iter().map(|word| word.replace("DIR", folder.to_str().unwrap()));
    Command::new(env!("CARGO_BIN_EXE_ven")).args(["xml", "verify"]).arg(file).args(more).output().unwrap()
}

fn invalid(output: &Output, why: &str) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{error}");
    assert!(error.contains(why), "{error} is not {why}");
}

fn transform(uri: &str) -> String {
    format!("<Transform Algorithm='{uri}'/>")
}

fn signature(method: &str, c14n: &str, uri: &str, transforms: &str, digest: &str, object: &str) -> String {
    format!(
        "<Signature xmlns='http://www.w3.org/2000/09/xmldsig#'><SignedInfo><CanonicalizationMethod Algorithm='{c14n}'/>\
         <SignatureMethod Algorithm='{method}'/><Reference URI='{uri}'><Transforms>{transforms}</Transforms>\
         <DigestMethod Algorithm='{digest}'/><DigestValue/></Reference></SignedInfo><SignatureValue/>{object}</Signature>"
    )
}

fn around(signature: &str) -> String {
    format!(
        "<?p i?><r xmlns='urn:r' xmlns:p='urn:p' xml:lang='en'><!-- c --><a Id='a' p:x='1'>t<!-- c --><p:e/></a>\
         <b name='n'>dGV4dA==</b>{signature}</r><!-- end -->"
    )
}

/// The three shapes: what is signed, and what it is said to cover.
fn shapes(method: &str, c14n: &str, digest: &str) -> [(String, &'static str); 3] {
    let sign = |uri, transforms: &str, object| signature(method, c14n, uri, transforms, digest, object);
    let object = "<Object Id='o'><x xmlns='urn:x'><!-- c -->t</x></Object>";
    [
        (
            around(&sign("", &(transform(ENVELOPED) + &transform(c14n)), "")),
            "the document without the signature",
        ),
        (sign("#o", &transform(c14n), object), "#o"),
        (around(&sign("#a", &transform(c14n), "")), "#a"),
    ]
}

#[test]
fn what_xmlsec1_signs_is_valid_in_every_shape_algorithm_and_canonical_form() {
    let Some(bench) = Bench::new() else { return };
    for (key, method, digest) in [
        ("rsa", "rsa-sha256", SHA256.to_owned()),
        ("rsa", "rsa-sha384", format!("{MORE}sha384")),
        ("rsa", "rsa-sha512", "http://www.w3.org/2001/04/xmlenc#sha512".to_owned()),
        ("p256", "ecdsa-sha256", SHA256.to_owned()),
        ("p256", "ecdsa-sha384", SHA256.to_owned()),
        ("p384", "ecdsa-sha256", SHA256.to_owned()),
        ("p384", "ecdsa-sha384", format!("{MORE}sha384")),
    ] {
        for c14n in C14N {
            for (template, covers) in shapes(&format!("{MORE}{method}"), c14n, &digest) {
                let pem = format!("DIR/{key}.key,DIR/{key}.pem");
                let signed = bench.sign(&["--privkey-pem", &pem], &template);
                let by_certificate = c14n.ends_with("Comments");
                let trusted = if by_certificate {
                    format!("--trusted=DIR/{key}.pem")
                } else {
                    format!("--trusted-key=DIR/{key}.pub")
                };
                bench.valid(&signed, &trusted, covers);
            }
        }
    }
}

/// signxml writes the comments of what `""` and `#id` refer to, where the method keeps comments. XML Signature 1.1, section
/// 4.4.3.3: "If the URI is not a full `XPointer`, then delete all comment nodes." xmlsec1 does, and so do we.
#[test]
fn what_signxml_signs_is_valid_in_every_shape_algorithm_and_canonical_form() {
    let Some(bench) = Bench::new() else { return };
    let Some(python) = peer("python") else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/xmldsig.py");
    for key in ["rsa", "p256"] {
        let folder = bench.folder.path().join(key);
        std::fs::create_dir(&folder).unwrap();
        let kind = if key == "rsa" { "rsa" } else { "ec" };
        let paths = [bench.path(key, "key"), bench.path(key, "pem"), folder.clone()];
        done(Command::new(&python).arg(&script).arg(kind).args(paths));
        let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), if key == "rsa" { 36 } else { 24 });
        for file in files {
            let output = ven(&file, bench.folder.path(), &[&format!("--trusted=DIR/{key}.pem")]);
            let name = file.file_name().unwrap().to_str().unwrap();
            let keeps_comments =
                (name.contains("-1-") || name.contains("-3-")) && !name.starts_with("detached");
            if keeps_comments {
                invalid(&output, "digest of");
            } else {
                assert_eq!(
                    output.status.code(),
                    Some(0),
                    "{name}: {}",
                    String::from_utf8_lossy(&output.stderr)
                );
            }
        }
    }
}

/// An id may have another name, where that is said.
#[test]
fn the_attribute_of_ids_can_be_named() {
    let Some(bench) = Bench::new() else { return };
    let template =
        around(&signature(&format!("{MORE}rsa-sha256"), C14N[0], "#n", &transform(C14N[0]), SHA256, ""));
    let signed = bench.sign(&["--privkey-pem", "DIR/rsa.key,DIR/rsa.pem"], &template);
    bench.refused(&signed, "rsa", "reference #n leads nowhere");
    let output = bench.verify(&signed, &["--trusted=DIR/rsa.pem", "--id-attr", "name"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "valid: covers #n\n");
    let twice = signed.replace("<p:e/>", "<p:e name='n'/>");
    invalid(&bench.verify(&twice, &["--trusted=DIR/rsa.pem", "--id-attr", "name"]), "stands twice");
}

#[test]
fn damaged_signatures_and_other_keys_are_refused() {
    let Some(bench) = Bench::new() else { return };
    for (template, _) in shapes(&format!("{MORE}rsa-sha256"), C14N[4], SHA256) {
        let good = bench.sign(&["--privkey-pem", "DIR/rsa.key,DIR/rsa.pem"], &template);
        let info = &good[good.find("<SignedInfo>").unwrap()..good.find("</SignedInfo>").unwrap() + 13];
        let body = good.strip_prefix("<?xml version=\"1.0\"?>\n").unwrap();
        for (text, why) in [
            (format!("<!DOCTYPE r>{body}"), "DOCTYPE"),
            (good.replace(info, &info.repeat(2)), "SignedInfo, found several"),
            (
                good.replace("</Signature>", &format!("<Object>{info}</Object></Signature>")),
                "SignedInfo, found several",
            ),
            (good.replacen(C14N[4], C14N[0], 1), "signature value does not match"),
            (good.replace("rsa-sha256", "rsa-sha512"), "signature value does not match"),
            (good.replace("rsa-sha256", "ecdsa-sha256"), "cannot make a signature"),
            (
                good.replace(SHA256, "http://www.w3.org/2001/04/xmlenc#sha512"),
                "signature value does not match",
            ),
            (good.replace("<SignedInfo>", "<SignedInfo><!-- -->"), "comment"),
            (good.replacen(">t<", ">T<", 1), "does not match"),
            (good[..good.len() / 2].to_owned(), "unreadable"),
            (good[..good.len() - 3].to_owned(), "unreadable"),
            (format!("{good}<x/>"), "more than one document element"),
            (
                good.replace(
                    "</Signature>",
                    "<Object><Signature xmlns='http://www.w3.org/2000/09/xmldsig#'/></Object></Signature>",
                ),
                "Signature, found several",
            ),
        ] {
            bench.refused(&text, "rsa", why);
        }
        bench.refused(&good, "other", "signature value does not match");
        bench.refused(&good, "p256", "cannot make a signature");
        for at in ["1999-01-01T00:00:00Z", "2999-01-01T00:00:00Z"] {
            invalid(&bench.verify(&good, &["--trusted=DIR/rsa.pem", "--at", at]), "is valid from");
        }
    }
}

/// Good cryptography, as xmlsec1 says each time, is not enough.
#[test]
fn what_policy_forbids_is_refused_however_good_the_cryptography() {
    let Some(bench) = Bench::new() else { return };
    std::fs::write(bench.folder.path().join("secret"), b"a secret of enough octets").unwrap();
    std::fs::write(bench.folder.path().join("outside.txt"), b"outside").unwrap();
    let rsa: &[&str] = &["--privkey-pem", "DIR/rsa.key,DIR/rsa.pem"];
    let hmac: &[&str] = &["--hmackey", "DIR/secret"];
    let sha256 = format!("{MORE}rsa-sha256");
    let c14n = transform(C14N[4]);
    let enveloped = transform(ENVELOPED);
    let xpath = "<Transform Algorithm='http://www.w3.org/TR/1999/REC-xpath-19991116'><XPath>not(ancestor-or-self::*[local-name()='Signature'])</XPath></Transform>";
    let filter = "<Transform Algorithm='http://www.w3.org/2002/06/xmldsig-filter2'><XPath xmlns='http://www.w3.org/2002/06/xmldsig-filter2' Filter='subtract'>//*[local-name()='Signature']</XPath></Transform>";
    let xslt = "<Transform Algorithm='http://www.w3.org/TR/1999/REC-xslt-19991116'><xsl:stylesheet version='1.0' xmlns:xsl='http://www.w3.org/1999/XSL/Transform'><xsl:template match='/'><x/></xsl:template></xsl:stylesheet></Transform>";
    let base64 = transform("http://www.w3.org/2000/09/xmldsig#base64");
    let outside = format!("file://{}", bench.folder.path().join("outside.txt").display());
    for (key, method, uri, transforms, digest, why) in [
        (
            rsa,
            "http://www.w3.org/2000/09/xmldsig#rsa-sha1",
            "#a",
            c14n.as_str(),
            SHA256,
            "rsa-sha1\" is not accepted",
        ),
        (rsa, &format!("{MORE}rsa-md5"), "#a", &c14n, SHA256, "rsa-md5\" is not accepted"),
        (rsa, &sha256, "#a", &c14n, "http://www.w3.org/2000/09/xmldsig#sha1", "sha1\" is not accepted"),
        (
            hmac,
            "http://www.w3.org/2000/09/xmldsig#hmac-sha1",
            "#a",
            &c14n,
            SHA256,
            "hmac-sha1\" is not accepted",
        ),
        (hmac, &format!("{MORE}hmac-sha256"), "#a", &c14n, SHA256, "hmac-sha256\" is not accepted"),
        (rsa, &sha256, "", xpath, SHA256, "xpath-19991116\" is not accepted"),
        (rsa, &sha256, "", filter, SHA256, "filter2\" is not accepted"),
        (rsa, &sha256, "", &format!("{enveloped}{xslt}"), SHA256, "xslt-19991116\" is not accepted"),
        (rsa, &sha256, "#n", &base64, SHA256, "is not accepted"),
        (rsa, &sha256, "#xpointer(id('a'))", &c14n, SHA256, "by other means than an id"),
        (rsa, &sha256, "#xpointer(/)", &format!("{enveloped}{c14n}"), SHA256, "by other means than an id"),
        (rsa, &sha256, &outside, "", SHA256, "leads out of the document"),
        (
            rsa,
            &sha256,
            "#a",
            &format!("{c14n}{}", transform(C14N[0])),
            SHA256,
            "are not: the enveloped signature",
        ),
    ] {
        let template = around(&signature(method, C14N[4], uri, transforms, digest, ""));
        // A list of transforms is there or holds one at least.
        let template = template
            .replace("<Transforms></Transforms>", "")
            .replace("URI='#xpointer(id('a'))'", "URI=\"#xpointer(id('a'))\"");
        let signed = bench.sign(key, &template);
        let output = bench.verify(&signed, &["--trusted=DIR/rsa.pem", "--id-attr", "name"]);
        invalid(&output, why);
    }
}

#[test]
fn dsa_is_refused_as_key_and_as_algorithm() {
    let Some(bench) = Bench::new() else { return };
    let Some(openssl) = peer("openssl") else { return };
    done(
        Command::new(&openssl)
            .args(["dsaparam", "-genkey", "-out"])
            .arg(bench.path("dsa", "key"))
            .arg("1024"),
    );
    done(
        Command::new(&openssl)
            .args(["pkey", "-pubout", "-in"])
            .arg(bench.path("dsa", "key"))
            .arg("-out")
            .arg(bench.path("dsa", "pub")),
    );
    let method = "http://www.w3.org/2000/09/xmldsig#dsa-sha1";
    let template = around(&signature(method, C14N[0], "#a", &transform(C14N[0]), SHA256, ""));
    let signed = bench.sign(&["--privkey-pem", "DIR/dsa.key"], &template);
    invalid(&bench.verify(&signed, &["--trusted-key=DIR/dsa.pub"]), "neither RSA nor EC");
    bench.refused(&signed, "rsa", "dsa-sha1\" is not accepted");
}

#[test]
fn what_is_trusted_must_be_said_once() {
    let Some(bench) = Bench::new() else { return };
    for more in [
        &[][..],
        &["--trusted=DIR/rsa.pem", "--trusted-key=DIR/rsa.pub"],
        &["--trusted-key=DIR/rsa.pub", "--openadr"],
        &["--trusted=DIR/rsa.pub"],
        &["--trusted-key=DIR/rsa.pem"],
        &["--trusted=DIR/nobody.pem"],
    ] {
        let output = bench.verify("<a/>", more);
        assert!(!output.status.success() && output.stdout.is_empty(), "{more:?}");
    }
}
