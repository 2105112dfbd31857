// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/lm/files/tensor_entry.hpp>

namespace prefer::inline v0_1::lm::detail {

/// The tensors of a file that is written from front to back: all are declared before the first one's bytes, which follow in
/// the order of the declarations, in pieces of any size.
class declared_tensors {
 public:
  explicit declared_tensors(std::string writer) : at_{std::move(writer), "", 0} {}

  void declare(std::string name, tensor_type type, std::vector<std::size_t> shape) {
    expects(!begun_, "a tensor was declared after the first one's bytes were written");
    if (name.empty() || names_.count(name) != 0) {
      refuse(at_.reader + ": a tensor is named " + data::in_quotes(name, 80) +
             ", expected a name of its own");
    }
    tensor_entry tensor{std::move(name), type, std::move(shape)};
    tensor.bytes = bytes_of_shape(at_, tensor);
    names_.insert(tensor.name);
    all_.push_back(std::move(tensor));
  }

  [[nodiscard]] std::vector<tensor_entry> const& all() const noexcept { return all_; }
  [[nodiscard]] bool begun() const noexcept { return begun_; }
  void begin() noexcept { begun_ = true; }

  /// Counts bytes of the tensor whose turn it is. True if they are its last.
  bool count(std::size_t bytes) {
    skip_empty();
    if (next_ == all_.size() || bytes > all_[next_].bytes - written_) {
      refuse(at_.reader + ": " + std::to_string(bytes) + " bytes more than the tensors have");
    }
    written_ += bytes;
    if (written_ != all_[next_].bytes) return false;
    ++next_;
    written_ = 0;
    return true;
  }

  void expect_all_written() {
    skip_empty();
    if (next_ == all_.size()) return;
    refuse(at_.reader + ": tensor " + data::in_quotes(all_[next_].name, 80) + " has " +
           std::to_string(written_) + " bytes, expected " + std::to_string(all_[next_].bytes));
  }

 private:
  void skip_empty() {
    while (next_ != all_.size() && all_[next_].bytes == 0) ++next_;
  }

  data::place at_;
  std::vector<tensor_entry> all_;
  std::unordered_set<std::string> names_;
  bool begun_ = false;
  std::size_t next_ = 0;
  std::size_t written_ = 0;
};

}  // namespace prefer::inline v0_1::lm::detail
