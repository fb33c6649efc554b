"""Signs a small document with signxml in every shape that it knows: xmldsig.py rsa|ec KEY CERT FOLDER."""

import sys
from pathlib import Path

from lxml import etree
from signxml import DigestAlgorithm, SignatureMethod, XMLSigner, methods

kind, *paths = sys.argv[1:]
key, cert, folder = (Path(path) for path in paths)
key, cert = key.read_bytes(), cert.read_bytes()
ec = kind == "ec"
C14N = [
    "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
    "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments",
    "http://www.w3.org/2001/10/xml-exc-c14n#",
    "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
    "http://www.w3.org/2006/12/xml-c14n11",
]
DOCUMENT = '<r xmlns="urn:r" xmlns:p="urn:p"><!-- c --><p:a Id="a" p:x="1">text &amp; more</p:a><?pi x?></r>'

for shape in ["enveloped", "enveloping", "detached"]:
    for number, c14n in enumerate(C14N):
        for size in ["256", "384", "512"]:
            if ec and size == "512":
                continue
            # It signs the signature where it stands alone; only the exclusive form survives being put into a document.
            if shape == "detached" and "exc-c14n" not in c14n:
                continue
            signer = XMLSigner(
                method=getattr(methods, shape),
                signature_algorithm=SignatureMethod[("ECDSA" if ec else "RSA") + "_SHA" + size],
                digest_algorithm=DigestAlgorithm["SHA" + size],
                c14n_algorithm=c14n,
            )
            tree = etree.fromstring(DOCUMENT)
            if shape == "detached":
                signature = signer.sign(tree, key=key, cert=cert, reference_uri="#a")
                tree.append(signature)
                signed = tree
            else:
                signed = signer.sign(tree, key=key, cert=cert)
            (folder / f"{shape}-{number}-{size}.xml").write_bytes(etree.tostring(signed))
