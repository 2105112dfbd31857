// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/lm/model/llama.hpp>
#include <prefer/reference/any_reference.hpp>
#include <prefer/reference/cached.hpp>

#include "model.hpp"

// References as the models of model.cpp hold them; included there alone.

namespace language {

using llama = prefer::lm::llama<float>;

/// A policy that is asked a few groups at a time, so that somebody can be told how far it is.
class in_slices {
 public:
  using value_type = float;

  in_slices(llama& policy, rows_to_cache const& rows) : policy_(policy), rows_(rows) {}

  void log_prob(prefer::choice_batch const& batch, std::span<float> out) {
    constexpr std::size_t groups = 8;
    std::vector<std::size_t> offset;
    for (std::size_t begin = 0; begin < batch.size(); begin += groups) {
      std::size_t const count = std::min(groups, batch.size() - begin);
      std::size_t const first = batch.offset[begin];
      offset.clear();
      for (std::size_t g = 0; g <= count; ++g) offset.push_back(batch.offset[begin + g] - first);
      policy_.log_prob({.prompt = batch.prompt.subspan(begin, count),
                        .completion = batch.completion.subspan(first, offset.back()),
                        .offset = offset,
                        .row = batch.row.subspan(begin, count),
                        .kl_examples = batch.kl_examples},
                       out.subspan(first, offset.back()));
      rows_.advance(count);
    }
  }

 private:
  llama& policy_;
  rows_to_cache const& rows_;
};

inline prefer::cached<float> cached_rows(llama& policy, rows_to_cache const& rows) {
  std::error_code ignored;
  if (std::filesystem::is_regular_file(rows.path, ignored)) {
    return prefer::cached<float>::load(rows.path, *rows.data, rows.made_of);
  }
  in_slices slices(policy, rows);
  auto out = prefer::cached<float>::of(slices, *rows.data, rows.made_of);
  if (!rows.path.empty()) out.save(rows.path);
  return out;
}

template <class R, class P = llama>
class reference_of final : public held_reference {
 public:
  template <class... Parts>
  explicit reference_of(P& policy, Parts&&... parts)
      : reference_(std::forward<Parts>(parts)...), policy_(policy) {}

  prefer::any_reference<float> handle() override { return {reference_, policy_}; }

 private:
  R reference_;
  P& policy_;
};

}  // namespace language
