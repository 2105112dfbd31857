// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace tree {

namespace fs = std::filesystem;

inline fs::path const source_root = PREFER_SOURCE_DIR;
inline fs::path const header_root = source_root / "include" / "prefer";

inline std::string read(fs::path const& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) throw std::runtime_error("cannot read " + path.string());
  return {std::istreambuf_iterator<char>(stream), {}};
}

inline std::vector<std::string> lines_of(std::string const& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

/// What a text includes: the names between the brackets or quotes.
inline std::vector<std::string> includes_of(std::string const& text) {
  std::vector<std::string> names;
  for (std::string const& line : lines_of(text)) {
    auto const hash = line.find_first_not_of(" \t");
    if (hash == std::string::npos || line[hash] != '#') continue;
    auto const word = line.find_first_not_of(" \t", hash + 1);
    if (word == std::string::npos || line.compare(word, 7, "include") != 0) continue;
    auto const open = line.find_first_of("<\"", word);
    auto const close = line.find_first_of(">\"", open + 1);
    if (open == std::string::npos || close == std::string::npos) continue;
    names.push_back(line.substr(open + 1, close - open - 1));
  }
  return names;
}

/// Every file below `root` with that extension, as paths relative to it, sorted.
inline std::vector<std::string> files_below(fs::path const& root, std::string_view extension) {
  std::vector<std::string> files;
  for (auto const& entry : fs::recursive_directory_iterator(root)) {
    if (entry.is_regular_file() && entry.path().extension() == extension) {
      files.push_back(entry.path().lexically_relative(root).generic_string());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

/// Every public header, those for CUDA's compilers included.
inline std::vector<std::string> public_headers() {
  std::vector<std::string> files = files_below(header_root, ".hpp");
  for (std::string const& kernels : files_below(header_root, ".cuh")) files.push_back(kernels);
  std::sort(files.begin(), files.end());
  return files;
}

/// The lists of cmake/headers.cmake and headers_lm.cmake: component -> headers, in the order of the file.
inline std::map<std::string, std::vector<std::string>> header_lists(std::string const& text) {
  std::map<std::string, std::vector<std::string>> lists;
  std::string component;
  for (std::string const& line : lines_of(text)) {
    if (line.rfind("set(prefer_", 0) == 0) {
      component = line.substr(11, line.find("_headers") - 11);
      lists[component];
    } else if (line == ")") {
      component.clear();
    } else if (!component.empty()) {
      lists[component].push_back(line.substr(line.find_first_not_of(' ')));
    }
  }
  return lists;
}

inline std::map<std::string, std::vector<std::string>> const& header_lists() {
  static auto const lists = header_lists(read(source_root / "cmake" / "headers.cmake") +
                                         read(source_root / "cmake" / "headers_lm.cmake"));
  return lists;
}

/// The name below include/prefer, or nothing if it is not ours.
inline std::string our_header(std::string const& included) {
  return included.rfind("prefer/", 0) == 0 ? included.substr(7) : std::string();
}

}  // namespace tree
