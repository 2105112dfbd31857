// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/fingerprint.hpp>

namespace prefer {

/// Rows of a choice_data gathered into one batch, of which any run of groups can be handed to a policy.
/// Keeps its memory from batch to batch.
///
/// Errors  precondition_error for a row that the data set does not have
template <class Data>
class basic_minibatch {  // a template, so that including it costs little
 public:
  /// `draw` addresses what is drawn at random for the batch.
  void gather(Data const& data, std::span<std::uint32_t const> rows, std::uint64_t draw = 0) {
    draw_ = draw;
    for (std::uint32_t const r : rows) {
      if (r >= data.size()) {
        detail::broken("choice_minibatch::gather: row " + std::to_string(r) + " of a data set of " +
                       std::to_string(data.size()));
      }
    }
    prompt_.clear();
    completion_.clear();
    kl_examples_.clear();
    row_.clear();
    label_.clear();
    weight_.clear();
    beta_.clear();
    target_margin_.clear();
    chosen_from_reference_.clear();
    length_.clear();
    score_.clear();
    offset_.assign(1, 0);
    for (std::uint32_t const r : rows) {
      prompt_.push_back(data.prompt[r]);
      row_.push_back(r);
      for (std::size_t i = data.offset[r]; i < data.offset[r + 1]; ++i) {
        completion_.push_back(data.completion[i]);
        if (!data.length.empty()) length_.push_back(data.length[i]);
        if (!data.score.empty()) score_.push_back(data.score[i]);
      }
      offset_.push_back(completion_.size());
      if (!data.label.empty()) label_.push_back(data.label[r]);
      if (!data.weight.empty()) weight_.push_back(data.weight[r]);
      if (!data.beta.empty()) beta_.push_back(data.beta[r]);
      if (!data.target_margin.empty()) target_margin_.push_back(data.target_margin[r]);
      if (!data.chosen_from_reference.empty()) {
        chosen_from_reference_.push_back(data.chosen_from_reference[r]);
      }
      if (!data.kl_examples.empty()) kl_examples_.push_back(data.kl_examples[r]);
    }
    one_each_.resize(prompt_.size() + 1);
    for (std::size_t g = 0; g < one_each_.size(); ++g) one_each_[g] = g;
  }

  [[nodiscard]] std::size_t size() const { return prompt_.size(); }
  [[nodiscard]] std::size_t completions() const { return completion_.size(); }
  [[nodiscard]] std::span<std::size_t const> offset() const { return offset_; }
  [[nodiscard]] std::span<std::size_t const> row() const { return row_; }
  [[nodiscard]] std::span<float const> label() const { return label_; }
  [[nodiscard]] std::span<float const> weight() const { return weight_; }
  [[nodiscard]] std::span<float const> beta() const { return beta_; }
  [[nodiscard]] std::span<float const> target_margin() const { return target_margin_; }
  [[nodiscard]] std::span<float const> chosen_from_reference() const {
    return chosen_from_reference_;
  }
  [[nodiscard]] std::span<float const> length() const { return length_; }
  [[nodiscard]] std::span<float const> score() const { return score_; }
  [[nodiscard]] bool has_kl_examples() const { return !kl_examples_.empty(); }

  /// Groups [begin, begin + count) as a batch; valid until the next gather or slice.
  [[nodiscard]] choice_batch slice(std::size_t begin, std::size_t count) {
    std::size_t const first = offset_[begin];
    slice_offset_.resize(count + 1);
    for (std::size_t g = 0; g <= count; ++g) slice_offset_[g] = offset_[begin + g] - first;
    return {.prompt = std::span(prompt_).subspan(begin, count),
            .completion = std::span(completion_).subspan(first, slice_offset_[count]),
            .offset = slice_offset_,
            .row = std::span(row_).subspan(begin, count),
            .draw = draw_};
  }
  /// The KL examples of groups [begin, begin + count), one each.
  [[nodiscard]] choice_batch kl_slice(std::size_t begin, std::size_t count) const {
    return {.prompt = std::span(prompt_).subspan(begin, count),
            .completion = std::span(kl_examples_).subspan(begin, count),
            .offset = std::span(one_each_).first(count + 1),
            .row = std::span(row_).subspan(begin, count),
            .kl_examples = true,
            .draw = draw_};
  }

 private:
  std::vector<std::uint32_t> prompt_;
  std::vector<std::uint32_t> completion_;
  std::vector<std::uint32_t> kl_examples_;
  std::vector<std::size_t> offset_ = {0};
  std::vector<std::size_t> slice_offset_;
  std::vector<std::size_t> one_each_;
  std::vector<std::size_t> row_;
  std::vector<float> label_;
  std::vector<float> weight_;
  std::vector<float> beta_;
  std::vector<float> target_margin_;
  std::vector<float> chosen_from_reference_;
  std::vector<float> length_;
  std::vector<float> score_;
  std::uint64_t draw_ = 0;
};

using choice_minibatch = basic_minibatch<choice_data>;

/// Identity of a data set: every column, in order.
template <std::same_as<choice_data> Data>
[[nodiscard]] std::uint64_t fingerprint_of(Data const& data) {
  fingerprint identity;
  identity.add(std::span(data.prompt)).add(std::span(data.completion)).add(std::span(data.label));
  identity.add(std::span(data.weight)).add(std::span(data.beta)).add(std::span(data.length));
  identity.add(std::span(data.target_margin)).add(std::span(data.score));
  identity.add(std::span(data.chosen_from_reference));
  identity.add(std::span(data.kl_examples));
  for (std::size_t const o : data.offset) identity.add(static_cast<std::uint64_t>(o));
  return identity.value();
}

}  // namespace prefer
