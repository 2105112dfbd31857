// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <prefer/batch/choices.hpp>
#include <prefer/file/archive.hpp>
#include <prefer/model/tabular.hpp>

// A loss and a reference that have something to remember.

namespace resume_subjects {

using table = prefer::tabular<double>;

// Pulls each batch's margin towards the mean of all batches so far.
struct running_mean {
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = "running_mean";
  struct state {
    double mean = 0.0;
  };
  struct memory {
    double sum = 0.0;
    double batches = 0.0;
  };
  constexpr state prepare(auto const& batch, memory& kept) const {
    kept.sum += batch.means([](auto const& pair) { return pair.log_prob_margin(); });
    kept.batches += 1.0;
    return {kept.sum / kept.batches};
  }
  constexpr auto operator()(auto const& pair, state const& batch) const {
    return square(pair.log_ratio_margin() - batch.mean - 1.0);
  }
};

// A reference that follows the policy and knows how to save itself. With nothing to load it complains.
struct following {
  using value_type = double;
  table model;

  void log_prob(prefer::choice_batch const& batch, std::span<double> out) {
    model.log_prob(batch, out);
  }
  void after_step(table& policy, std::uint64_t) {
    auto const to = model.parameters()[0].value;
    auto const from = policy.parameters()[0].value;
    for (std::size_t i = 0; i < to.size(); ++i) to[i] = 0.75 * to[i] + 0.25 * from[i];
  }
  void save(prefer::archive_writer& file) const {
    auto copy = model;
    file.add("reference/logits", copy.parameters()[0].value);
  }
  void load(prefer::archive const& file) {
    file.copy_to("reference/logits", model.parameters()[0].value);
  }
};

}  // namespace resume_subjects
