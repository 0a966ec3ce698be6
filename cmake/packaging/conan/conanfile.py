# SPDX-License-Identifier: MIT
# A recipe of this checkout: conan create cmake/packaging/conan
import os
import re

from conan import ConanFile
from conan.tools.build import check_min_cppstd
from conan.tools.files import copy, load


class Larder(ConanFile):
    name = "larder"
    description = "Caching strategies over pluggable stores, header-only C++20"
    license = "MIT"
    package_type = "header-library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"json": [True, False]}
    default_options = {"json": False}
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

    def validate(self):
        check_min_cppstd(self, 20)

    def package_id(self):
        self.info.settings.clear()

    def package(self):
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        copy(self, "include/*.hpp", self.source_folder, self.package_folder)

    def package_info(self):
        self.cpp_info.bindirs = []
        self.cpp_info.libdirs = []
        self.cpp_info.set_property("cmake_file_name", "larder")
        core = self.cpp_info.components["core"]
        core.set_property("cmake_target_name", "larder::larder")
        core.bindirs = []
        core.libdirs = []
        if self.settings.os in ("Linux", "FreeBSD"):
            core.system_libs = ["pthread"]
        if self.options.json:
            json = self.cpp_info.components["json"]
            json.set_property("cmake_target_name", "larder::json")
            json.bindirs = []
            json.libdirs = []
            json.requires = ["core", "nlohmann_json::nlohmann_json"]
