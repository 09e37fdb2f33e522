from pajamas.testing import BackendConformance


class TestEcho(BackendConformance):
    backend = "echo"
