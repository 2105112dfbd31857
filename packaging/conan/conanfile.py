# SPDX-License-Identifier: MIT
"""prefer as a Conan 2 package, from the checkout that this recipe lies in: conan create packaging/conan

The package has our own CMake package files: find_package(prefer COMPONENTS ...) works as after an install, and looks for
what a component needs where it is used, so that nothing is required here.
"""
import os
import re

from conan import ConanFile
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load


class Prefer(ConanFile):
    name = "prefer"
    description = "Preference optimization for C++: losses, references, policies, training"
    license = "MIT"
    package_type = "header-library"
    settings = "os", "arch", "compiler", "build_type"
    no_copy_source = True

    def checkout(self, *path):
        return os.path.join(self.recipe_folder, "..", "..", *path)

    def set_version(self):
        header = load(self, self.checkout("include", "prefer", "version.hpp"))
        self.version = re.search(r'PREFER_VERSION_STRING "([^"]+)"', header).group(1)

    def export_sources(self):
        for pattern in ("CMakeLists.txt", "LICENSE", "cmake/*", "include/*"):
            copy(self, pattern, self.checkout(), self.export_sources_folder)

    def layout(self):
        cmake_layout(self)

    def validate(self):
        check_min_cppstd(self, 20)

    def generate(self):
        toolchain = CMakeToolchain(self)
        for part in ("TESTS", "EXAMPLES", "BENCH"):
            toolchain.cache_variables[f"PREFER_BUILD_{part}"] = False
        toolchain.generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()

    def package(self):
        CMake(self).install()

    def package_id(self):
        self.info.clear()

    def package_info(self):
        self.cpp_info.bindirs = []
        self.cpp_info.libdirs = []
        self.cpp_info.builddirs = [os.path.join("share", "cmake", "prefer")]
        self.cpp_info.set_property("cmake_find_mode", "none")  # ours are better: they know the components
        self.cpp_info.set_property("pkg_config_name", "prefer")
