// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/lm/files/adapter.hpp>
#include <prefer/policy/parameter.hpp>

namespace prefer::inline v0_1::lm {

/// What a model that is written has other than the one that it comes from.
///
/// Semantics  touches(tensor) says whether `apply` changes it; apply(tensor, first_row, rows) changes whole rows from
///            first_row on, or a whole vector, on any thread. unties() says that output matrix and embedding, one matrix
///            before, are two now.
template <class C>
concept WeightChanges =
    std::floating_point<typename C::value_type> &&
    requires(C const& changes, std::string_view tensor, std::span<typename C::value_type> rows) {
      { changes.touches(tensor) } -> std::same_as<bool>;
      { changes.unties() } -> std::same_as<bool>;
      changes.apply(tensor, std::size_t{}, rows);
    };

/// None.
template <std::floating_point T>
struct no_changes {
  using value_type = T;
  [[nodiscard]] bool touches(std::string_view) const { return false; }
  [[nodiscard]] bool unties() const { return false; }
  void apply(std::string_view, std::size_t, std::span<T>) const {}
};

/// An adapter added to the weights that it is for. Refers to it.
template <std::floating_point T>
class merged_adapter {
 public:
  using value_type = T;

  explicit merged_adapter(adapter<T> const& adapter) {
    for (auto const& each : adapter.pairs) by_tensor_.emplace(each.module + ".weight", &each);
  }

  [[nodiscard]] bool touches(std::string_view tensor) const {
    return by_tensor_.count(tensor) != 0;
  }
  /// An adapter of one of the two changes that one alone.
  [[nodiscard]] bool unties() const {
    return touches("lm_head.weight") || touches("model.embed_tokens.weight");
  }
  void apply(std::string_view tensor, std::size_t first_row, std::span<T> rows) const {
    auto const found = by_tensor_.find(tensor);
    if (found == by_tensor_.end()) return;
    auto const& pair = *found->second;
    auto const scale = static_cast<T>(pair.scale);
    if (pair.is_embedding()) {
      for (std::size_t at = 0, id = first_row; at != rows.size(); at += pair.out, ++id) {
        for (std::size_t i = 0; i != pair.out; ++i) {
          T sum = 0;
          for (std::size_t r = 0; r != pair.rank; ++r) {
            sum += pair.b[i * pair.rank + r] * pair.a[r * pair.in + id];
          }
          rows[at + i] += scale * sum;
        }
      }
      return;
    }
    std::vector<T> sum(pair.in);
    for (std::size_t at = 0, row = first_row; at != rows.size(); at += pair.in, ++row) {
      std::fill(sum.begin(), sum.end(), T(0));
      for (std::size_t r = 0; r != pair.rank; ++r) {
        T const factor = pair.b[row * pair.rank + r];
        T const* const a = pair.a.data() + r * pair.in;
        for (std::size_t i = 0; i != pair.in; ++i) sum[i] += factor * a[i];
      }
      for (std::size_t i = 0; i != pair.in; ++i) rows[at + i] += scale * sum[i];
    }
  }

 private:
  std::map<std::string, adapter_pair<T> const*, std::less<>> by_tensor_;
};

/// Weights that were trained: parameters under the tensors' names take the place of what the file holds. Refers to them.
template <std::floating_point T>
class trained_parameters {
 public:
  using value_type = T;

  explicit trained_parameters(std::vector<parameter<T>> const& parameters) {
    for (auto const& each : parameters) by_tensor_.emplace(std::string(each.name), each);
  }

  [[nodiscard]] bool touches(std::string_view tensor) const {
    return by_tensor_.count(tensor) != 0;
  }
  [[nodiscard]] bool unties() const { return false; }
  void apply(std::string_view tensor, std::size_t first_row, std::span<T> rows) const {
    auto const found = by_tensor_.find(tensor);
    if (found == by_tensor_.end()) return;
    auto const sizes = found->second.shape.sizes();
    std::size_t const columns = sizes.size() == 2 ? sizes[1] : 1;
    auto const from = found->second.value.subspan(first_row * columns, rows.size());
    std::copy(from.begin(), from.end(), rows.begin());
  }

 private:
  std::map<std::string, parameter<T>, std::less<>> by_tensor_;
};

}  // namespace prefer::inline v0_1::lm
