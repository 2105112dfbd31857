// SPDX-License-Identifier: MIT
#pragma once

#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include <unistd.h>

#include <prefer/file/atomic_file.hpp>

/// A file with this content for as long as the object lives.
class temporary_file {
 public:
  temporary_file(std::string const& name, std::string_view content)
      : path_((std::filesystem::temp_directory_path() /
               ("prefer-" + std::to_string(::getpid()) + "-" + name))
                  .string()) {
    prefer::atomic_file file(path_);
    file.write(content);
    file.commit();
  }
  temporary_file(temporary_file const&) = delete;
  temporary_file& operator=(temporary_file const&) = delete;
  ~temporary_file() { std::remove(path_.c_str()); }

  [[nodiscard]] std::string const& path() const noexcept { return path_; }

 private:
  std::string path_;
};
