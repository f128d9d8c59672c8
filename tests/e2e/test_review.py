"""Holes that a review found: each story fails on the version before its fix."""

import harness
import raw

FORM = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\nhi\r\n--x--\r\n'
FORM_TYPE = {"Content-Type": "multipart/form-data; boundary=x"}


class Review(harness.Case):
    @classmethod
    def setUpClass(cls):
        harness.needs_root()

    def test_a_form_sent_to_the_root_of_an_app_does_not_end_the_daemon(self):
        d = self.daemon()
        d.deploy("kitchen", "me/kitchen")
        for path in ("/app/me/kitchen/", "/app/me/kitchen/gradio_api/"):
            reply = d.post(path, FORM, token=None, headers=FORM_TYPE)
            self.assertEqual(reply.status, 404, path)
        self.assertEqual(d.post("/app/me/kitchen/gradio_api/upload", FORM, token=None, headers=FORM_TYPE).status, 200)
