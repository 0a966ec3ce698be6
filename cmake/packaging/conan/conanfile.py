# SPDX-License-Identifier: MIT
# A recipe of this checkout: conan create cmake/packaging/conan
import os
import re

from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.build import check_min_cppstd
from conan.tools.files import copy, load


class Larder(ConanFile):
    name = "larder"
    description = "Caching strategies over pluggable stores, header-only C++20"
    license = "MIT"
    package_type = "header-library"
    settings = "os", "arch", "compiler", "build_type"
    options = {name: [True, False] for name in ("json", "redis", "sqlite", "tls", "zstd")}
    default_options = {name: False for name in options}
    no_copy_source = True

    def _root(self):
        return os.path.join(self.recipe_folder, "..", "..", "..")

    def set_version(self):
        header = load(self, os.path.join(self._root(), "include", "larder", "version.hpp"))
        numbers = re.findall(r"#define LARDER_VERSION_(?:MAJOR|MINOR|PATCH) +(\d+)", header)
        self.version = ".".join(numbers)

    def export_sources(self):
        root = self._root()
        for pattern in ("include/*", "LICENSE"):
            copy(self, pattern, root, self.export_sources_folder)

    def requirements(self):
        if self.options.json:
            self.requires("nlohmann_json/[>=3.10]")
        if self.options.redis:
            self.requires("hiredis/[>=1.0]")
        if self.options.sqlite:
            self.requires("sqlite3/[>=3.34]")
        if self.options.tls:
            self.requires("openssl/[>=1.1.1]")
        if self.options.zstd:
            self.requires("zstd/[>=1.4]")

    def validate(self):
        check_min_cppstd(self, 20)
        if self.options.tls and not self.options.redis:
            raise ConanInvalidConfiguration("tls is of connections to Redis: it needs redis=True")

    def package_id(self):
        self.info.settings.clear()

    def package(self):
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        copy(self, "include/*.hpp", self.source_folder, self.package_folder)

    def package_info(self):
        self.cpp_info.set_property("cmake_file_name", "larder")
        core = self._component("core", "larder::larder", [])
        if self.settings.os in ("Linux", "FreeBSD"):
            core.system_libs = ["pthread"]
        packages = {"json": "nlohmann_json", "redis": "hiredis", "sqlite": "sqlite3", "zstd": "zstd"}
        for name, package in packages.items():
            if self.options.get_safe(name):
                self._component(name, f"larder::{name}", ["core", f"{package}::{package}"])
        if self.options.get_safe("tls"):
            self._component("tls", "larder::tls", ["redis", "openssl::openssl"])

    # Headers alone. Beside components the package itself must have no values.
    def _component(self, name, target, requires):
        component = self.cpp_info.components[name]
        component.set_property("cmake_target_name", target)
        component.bindirs = []
        component.libdirs = []
        component.requires = requires
        return component
