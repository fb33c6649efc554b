"""Signs and verifies messages the way OpenLEADR does, with signxml.

usage: signatures.py sign KEY CERT SIGNED_OBJECT    prints the signed message
       signatures.py verify MESSAGE...              exits with 1 at the first that is not valid
"""
import sys

from lxml import etree
from openleadr import messaging, utils
from signxml import SignatureMethod, XMLSigner, methods


def sign(key, cert, signed_object):
    key, cert = (open(path, "rb").read() for path in (key, cert))
    tree = etree.fromstring(open(signed_object, "rb").read())
    signer = XMLSigner(
        method=methods.detached, c14n_algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
    )
    signer.namespaces["oadr"] = "http://openadr.org/oadr-2.0b/2012/07"
    signer.sign_alg = SignatureMethod.from_fragment(messaging.get_signature_algorithm_from_private_key(key))
    signature = signer.sign(
        tree,
        key=key,
        cert=cert,
        reference_uri="#oadrSignedObject",
        signature_properties=messaging._create_replay_protect(),
    )
    envelope = messaging.TEMPLATES.get_template("oadrPayload.xml")
    print(
        envelope.render(
            template="any",
            signature=etree.tostring(signature).decode(),
            signed_object=etree.tostring(tree).decode(),
        )
    )


def verify(paths):
    for path in paths:
        tree = messaging.validate_xml_schema(open(path, "rb").read())
        cert = utils.extract_pem_cert(tree)
        messaging.VERIFIER.verify(tree, x509_cert=utils.ensure_bytes(cert), expect_references=2)
        print(path, "is valid")


if sys.argv[1] == "sign":
    sign(*sys.argv[2:])
else:
    verify(sys.argv[2:])
