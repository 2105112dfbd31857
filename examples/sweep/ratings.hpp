// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include <prefer/batch/choices.hpp>
#include <recommend/interactions.hpp>
#include <recommend/popularity.hpp>
#include <recommend/ranking.hpp>
#include <recommend/study.hpp>

#include "problem.hpp"

namespace sweep {

/// A learner of ratings.
class ratings_policy : public learner {
 public:
  /// What its policy says of every item; it does not move meanwhile.
  [[nodiscard]] virtual recommend::item_log_probs said() = 0;
};

/// Labelled pairs of ratings, which a seed draws.
class ratings_pairs : public problem {
 public:
  [[nodiscard]] virtual prefer::choice_data const& labelled() const = 0;
};

/// How good a policy is on ratings, next to the start.
[[nodiscard]] judgement judge_ratings(recommend::interactions const& data,
                                      recommend::item_log_probs const& policy,
                                      recommend::item_log_probs const& start);

/// People who rated items, from a file: a prompt is a person, a completion an item, the policy a softmax over all
/// items of a product of factors. Data and split are those of the program recommend.
///
///   start    maximum likelihood of what people rated in the first part of their history
///   pairs    a person at random, then a liked over a disliked item of theirs at random, both from the first part
///   reward   NDCG@10 on the last part
///
/// Other than in the exact tasks, the true reward of an item is the stars that its person gave, which labels never
/// contradict unless they are flipped; the biased annotator has a taste of N(0, 1) per item. A step is one of AdamW
/// with a fixed rate over all pairs, which is the same whatever the scale of a loss.
///
/// References  start; near = start trained three times as long; far = popularity, the same for everybody; uniform;
///             ema; none = log_prob 0
class ratings final : public task {
 public:
  /// Errors  backend_error as for recommend::read_ratings
  explicit ratings(task_options const& options);

  [[nodiscard]] std::string settings() const override;
  [[nodiscard]] std::vector<std::string> references() const override;
  [[nodiscard]] std::string reward_name() const override { return "NDCG@10 on held-out ratings"; }
  [[nodiscard]] bool sets_own_steps() const override { return true; }
  [[nodiscard]] std::string why_no_best() const override;
  [[nodiscard]] std::string drawn_by_seed() const override {
    return "start model and labelled pairs; the file and its split are the same";
  }
  [[nodiscard]] std::shared_ptr<problem const> make(std::uint64_t seed,
                                                    label_noise const& noise) const override;

  [[nodiscard]] recommend::interactions const& data() const { return data_; }
  [[nodiscard]] recommend::popularity const& popular() const { return popular_; }
  [[nodiscard]] double rate() const { return options_.rate; }
  /// The model of a seed after the start's epochs, or `longer`: trained when first asked for. Threads that ask for the
  /// same one wait for it.
  [[nodiscard]] recommend::model const& trained(std::uint64_t seed, bool longer) const;

 private:
  struct kept_model {
    std::once_flag once;
    std::optional<recommend::model> model;
  };

  task_options options_;
  recommend::interactions data_;
  recommend::popularity popular_;
  mutable std::mutex mutex_;
  mutable std::map<std::pair<std::uint64_t, bool>, kept_model> models_;
};

}  // namespace sweep
