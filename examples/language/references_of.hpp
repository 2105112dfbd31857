// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/expects.hpp>
#include <prefer/lm/model/llama.hpp>
#include <prefer/lm/text/tokenizer.hpp>
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

/// Errors  backend_error where the two vocabularies differ
inline void expect_same_words(prefer::lm::tokenizer const& policy,
                              prefer::lm::tokenizer const& reference, std::string const& path) {
  auto const refuse = [&](std::string const& reason) {
    prefer::refuse(prefer::backend_error("reference", path, reason));
  };
  if (policy.vocabulary() != reference.vocabulary()) {
    refuse("it has a vocabulary of " + std::to_string(reference.vocabulary()) +
           " tokens; expected the policy's, " + std::to_string(policy.vocabulary()));
  }
  for (std::uint32_t id = 0; id != policy.vocabulary(); ++id) {
    if (policy.bytes(id) == reference.bytes(id)) continue;
    refuse("its token " + std::to_string(id) + " is \"" + std::string(reference.bytes(id)) +
           "\", and the policy's is \"" + std::string(policy.bytes(id)) +
           "\"; expected the same vocabulary");
  }
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
