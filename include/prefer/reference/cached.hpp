// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/batch/column_rules.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/archive.hpp>
#include <prefer/file/archive_writer.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/on_demand.hpp>
#include <prefer/reference/reference.hpp>

namespace prefer::inline v0_1 {

/// A reference's log-probabilities of a whole data set, computed once, in memory and on request in a file.
///
///   auto reference = prefer::cached<float>::of(start, data);
///   reference.save("start.cache");
///   auto again = prefer::cached<float>::load("start.cache", data, start);
///   auto other = prefer::cached<float>::given(log_probs_of_another_model, data, identity);
///
/// A file that was made of other prompts and completions, or of a reference of another identity, is stale and refused.
/// `identity` stands for the reference where it has none, or where a file is to be read without it in memory: for all
/// that the numbers depend on besides the data, as the model's name and version, tokenizer and truncation.
/// Batches must carry row numbers, which the trainer's do. A reference whose numbers depend on a draw, such
/// as a denoiser, does not compile.
///
/// Errors  precondition_error for a batch without rows, or with a row or KL examples that are
///         not in the cache; a reference that moves does not compile; backend_error for a file that is damaged,
///         stale, or of another size
template <std::floating_point T>
class cached {
 public:
  using value_type = T;

  template <class R>
    requires Reference<R, choice_batch>
  [[nodiscard]] static cached of(R& reference, choice_data const& data) {
    expects_identity<R>();
    return computed(reference, data, made_of(reference, data));
  }
  template <class R>
    requires Reference<R, choice_batch>
  [[nodiscard]] static cached of(R& reference, choice_data const& data, std::uint64_t identity) {
    return computed(reference, data, made_of(identity, data));
  }

  /// Numbers that were computed elsewhere, by a stronger model say: one log-probability per completion, in the
  /// order of the data, and one per kl_examples completion where the data has those. Any contiguous float or
  /// double.
  ///
  /// data::reference_columns reads them from a file.
  /// Errors  precondition_error for another number of them than the data has completions, and for one that is
  ///         not a log-probability (NaN, infinite, above 0), with its row
  template <class LogProbs, class KlExamples = std::vector<T>>
  [[nodiscard]] static cached given(LogProbs const& log_prob, choice_data const& data,
                                    std::uint64_t identity, KlExamples const& kl_examples = {}) {
    data.expects_shapes("cached::given");
    cached out;
    out.made_of_ = made_of(identity, data);
    out.offset_.assign(data.offset.begin(), data.offset.end());
    expects_size(log_prob.size(), data.completion.size(), "cached::given", "log_prob");
    expects_size(kl_examples.size(), data.kl_examples.size(), "cached::given", "kl_examples");
    for (std::size_t g = 0; g < data.size(); ++g) {
      for (std::size_t i = data.offset[g]; i < data.offset[g + 1]; ++i) {
        out.log_prob_.push_back(checked(log_prob.data()[i], g, "log_prob"));
      }
    }
    for (std::size_t g = 0; g < kl_examples.size(); ++g) {
      out.kl_examples_.push_back(checked(kl_examples.data()[g], g, "kl_examples"));
    }
    return out;
  }

  void save(std::string const& path) const {
    archive_writer file(path);
    file.add("format", "prefer reference cache 2");
    file.add("made of", made_of_);
    file.add("normalised", std::uint64_t{normalised_ ? 1u : 0u});
    file.add("log_prob", log_prob_);
    file.add("logit", logit_);
    file.add("kl_examples", kl_examples_);
    file.commit();
  }

  /// What was saved of this reference, which is not asked for a number, on this data.
  template <class R>
    requires Reference<R, choice_batch>
  [[nodiscard]] static cached load(std::string const& path, choice_data const& data, R& reference) {
    expects_identity<R>();
    return read(path, data, made_of(reference, data));
  }
  [[nodiscard]] static cached load(std::string const& path, choice_data const& data,
                                   std::uint64_t identity) {
    return read(path, data, made_of(identity, data));
  }

  void log_prob(choice_batch const& batch, std::span<T> out) const {
    look_up(batch, out, batch.kl_examples ? kl_examples_ : log_prob_);
  }
  /// The reference's logits where it had any, so that they equal, bit for bit, those of a policy that is still
  /// the reference; else log_prob, which is a logit too.
  void logit(choice_batch const& batch, std::span<T> out) const {
    look_up(batch, out, batch.kl_examples ? kl_examples_ : logit_.empty() ? log_prob_ : logit_);
  }

  /// Of what it was made of and of every number in it.
  [[nodiscard]] std::uint64_t identity() const {
    fingerprint out;
    out.add(made_of_).add(std::span<T const>(log_prob_));
    out.add(std::span<T const>(logit_)).add(std::span<T const>(kl_examples_));
    return out.value();
  }
  /// As the reference was that it was made of.
  [[nodiscard]] bool normalised() const { return normalised_; }

 private:
  static constexpr std::size_t rows_at_once = 1024;

  template <class R>
  static constexpr bool gives_logits = requires(
      R& r, choice_batch const& b, std::span<typename R::value_type> to) { r.logit(b, to); };

  template <class R>
  static consteval void expects_identity() {
    static_assert(detail::identified_reference<R>,
                  "prefer: this reference has no identity() that would tell a cache of it from one "
                  "of another; give it one, or give the cache a number that stands for it");
  }

  // What a file must agree with: the reference, or what stands for it, and what it was asked.
  static std::uint64_t made_of(fingerprint reference, choice_data const& data) {
    reference.add(view_of(data.prompt)).add(view_of(data.completion));
    reference.add(view_of(data.offset)).add(view_of(data.kl_examples));
    return reference.value();
  }
  static std::uint64_t made_of(std::uint64_t identity, choice_data const& data) {
    return made_of(fingerprint().add("identity").add(identity), data);
  }
  template <class R>
  static std::uint64_t made_of(R& reference, choice_data const& data) {
    return made_of(fingerprint().add("reference").add(identity_of_reference(reference)), data);
  }

  template <class R>
  static cached computed(R& reference, choice_data const& data, std::uint64_t made_of) {
    static_assert(!DependsOnDraw<R>,
                  "prefer: this reference draws anew in each step, so its numbers cannot be "
                  "cached; use prefer::frozen");
    static_assert(!MovingReference<R>,
                  "prefer: this reference moves while the policy trains, so a cache made ahead of "
                  "time would go stale; wrap it in cached_on_demand, or cache a frozen copy of it");
    data.expects_shapes("cached::of");
    cached out;
    out.made_of_ = made_of;
    out.normalised_ = is_normalised(reference);
    out.offset_.assign(data.offset.begin(), data.offset.end());
    out.log_prob_.resize(data.completion.size());
    std::vector<std::size_t> offset;
    std::vector<std::size_t> row(data.size());
    for (std::size_t g = 0; g < row.size(); ++g) row[g] = g;
    for (std::size_t begin = 0; begin < data.size(); begin += rows_at_once) {
      std::size_t const count = detail::at_most(rows_at_once, data.size() - begin);
      std::size_t const first = data.offset[begin];
      offset.clear();
      for (std::size_t g = 0; g <= count; ++g) offset.push_back(data.offset[begin + g] - first);
      choice_batch const batch{.prompt = view_of(data.prompt, begin, count),
                               .completion = view_of(data.completion, first, offset.back()),
                               .offset = offset,
                               .row = view_of(row, begin, count)};
      ask(reference, batch, std::span(out.log_prob_).subspan(first, offset.back()),
          [](R& r, auto const& b, auto to) { r.log_prob(b, to); });
      if constexpr (gives_logits<R>) {
        out.logit_.resize(data.completion.size());
        ask(reference, batch, std::span(out.logit_).subspan(first, offset.back()),
            [](R& r, auto const& b, auto to) { r.logit(b, to); });
      }
    }
    out.kl_examples_.resize(data.kl_examples.size());
    for (std::size_t begin = 0; begin < data.kl_examples.size(); begin += rows_at_once) {
      std::size_t const count = detail::at_most(rows_at_once, data.kl_examples.size() - begin);
      offset.clear();
      for (std::size_t g = 0; g <= count; ++g) offset.push_back(g);
      choice_batch const batch{.prompt = view_of(data.prompt, begin, count),
                               .completion = view_of(data.kl_examples, begin, count),
                               .offset = offset,
                               .row = view_of(row, begin, count),
                               .kl_examples = true};
      ask(reference, batch, std::span(out.kl_examples_).subspan(begin, count),
          [](R& r, auto const& b, auto to) { r.log_prob(b, to); });
    }
    return out;
  }

  static cached read(std::string const& path, choice_data const& data, std::uint64_t made_of) {
    data.expects_shapes("cached::load");
    archive const file = archive::read(path);
    if (!file.contains("format") || file.text("format") != "prefer reference cache 2") {
      detail::fail(backend_error("cached::load", path, "this file is not a reference cache"));
    }
    cached out;
    out.made_of_ = file.number<std::uint64_t>("made of");
    if (out.made_of_ != made_of) {
      detail::fail(
          backend_error("cached::load", path,
                        "the cache is stale: it was made for another data set or model; delete "
                        "it and compute it again"));
    }
    out.offset_.assign(data.offset.begin(), data.offset.end());
    out.normalised_ = !file.contains("normalised") || file.number<std::uint64_t>("normalised") != 0;
    out.log_prob_ = file.get<T>("log_prob");
    out.logit_ = file.get<T>("logit");
    out.kl_examples_ = file.get<T>("kl_examples");
    auto const expect = [&](std::size_t in_cache, std::size_t in_data, char const* what) {
      if (in_cache == in_data) return;
      detail::fail(backend_error("cached::load", path,
                                 "the cache has " + std::to_string(in_cache) + " " + what +
                                     "; the data set has " + std::to_string(in_data)));
    };
    expect(out.log_prob_.size(), data.completion.size(), "completions");
    if (!out.logit_.empty()) expect(out.logit_.size(), data.completion.size(), "logits");
    expect(out.kl_examples_.size(), data.kl_examples.size(), "KL examples");
    return out;
  }

  template <class R, class Ask>
  static void ask(R& reference, choice_batch const& batch, std::span<T> out, Ask const& ask_for) {
    if constexpr (std::same_as<typename R::value_type, T>) {
      ask_for(reference, batch, out);
    } else {
      std::vector<typename R::value_type> theirs(out.size());
      ask_for(reference, batch, std::span(theirs));
      for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<T>(theirs[i]);
    }
  }

  static T checked(auto number, std::size_t row, char const* what) {
    auto const as_stored = static_cast<T>(number);
    constexpr number_rule rule = rule_of(column_rule::log_prob);
    if (rule.holds(static_cast<double>(as_stored))) return as_stored;
    detail::broken("cached::given: " + std::string(what) + " of row " + std::to_string(row) +
                   " is " + detail::found(static_cast<double>(number), rule.expected));
  }

  void look_up(choice_batch const& batch, std::span<T> out, std::vector<T> const& from) const {
    expects_size(out.size(), batch.completions(), "cached::log_prob", "out");
    if (batch.row.size() != batch.size()) {
      detail::broken("cached::log_prob: the batch has no row numbers to look up");
    }
    expects(!batch.drawn,
            "cached::log_prob: the batch was written in this step, and is no part of a data set");
    std::size_t at = 0;
    for (std::size_t g = 0; g < batch.size(); ++g) {
      std::size_t const row = batch.row[g];
      std::size_t const count = batch.offset[g + 1] - batch.offset[g];
      bool const there = batch.kl_examples
                             ? row < kl_examples_.size() && count == 1
                             : row + 1 < offset_.size() && offset_[row + 1] - offset_[row] == count;
      if (!there) {
        detail::broken("cached::log_prob: row " + std::to_string(row) + " with " +
                       std::to_string(count) + " completions is not in the cache");
      }
      std::size_t const first = batch.kl_examples ? row : offset_[row];
      for (std::size_t k = 0; k < count; ++k) out[at++] = from[first + k];
    }
  }

  std::uint64_t made_of_ = 0;
  bool normalised_ = true;
  std::vector<std::size_t> offset_;
  std::vector<T> log_prob_;
  std::vector<T> logit_;  // empty where the reference gives none
  std::vector<T> kl_examples_;
};

}  // namespace prefer::inline v0_1
