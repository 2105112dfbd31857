// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/file/archive.hpp>
#include <prefer/file/archive_writer.hpp>
#include <prefer/parallel/communicator.hpp>
#include <prefer/parallel/executor.hpp>
#include <prefer/policy/parameter.hpp>
#include <prefer/policy/parameter_blocks.hpp>
#include <prefer/train/adamw.hpp>
#include <prefer/train/clip.hpp>
#include <prefer/train/trained_numbers.hpp>

namespace prefer::inline v0_1 {

/// Which of several processes moves which numbers of the parameters, where each holds them all: it has the sums of the
/// gradients of its share alone, and the optimizer's state of its share alone, and gives to all what it has moved.
///
///   gradients of all parameters -> sum_gradients -> clip -> an optimizer's step on own() -> gather_values
///
/// A share is whole blocks, in order, and as even as blocks are: the sum of squares of a block is that of one process.
/// Every number is what it would be if each process summed and moved all of them (`sum_gradients`,
/// `clip_gradient_norm`, `adamw::step`), to the bit. The calls are collective. Parameters are borrowed; which are frozen
/// does not change.
///
/// Source  the first stage of ZeRO: Rajbhandari et al. 2020, arXiv:1910.02054, section 5.1
template <class T>
class parameter_shares {
 public:
  parameter_shares(std::span<parameter<T> const> parameters, std::size_t rank, std::size_t size,
                   std::size_t block = detail::gradient_block)
      : parameters_(parameters), numbers_(parameters), rank_(rank), counts_(size) {
    expects(rank < size, "parameter_shares: rank must be less than the number of processes");
    std::vector<parameter_block> blocks;
    list_blocks(parameters, block, blocks);
    // A share begins at the end of a block that is nearest to where even shares would begin.
    std::size_t end = 0;
    for (auto const& each : blocks) {
      std::size_t const count = each.end - each.begin;
      while (begins_.size() < size && numbers_.size() * begins_.size() / size <= end + count / 2) {
        begins_.push_back(end);
      }
      end += count;
    }
    begins_.resize(size + 1, end);
    for (std::size_t i = 0; i != parameters.size(); ++i) {
      parameter<T> own = parameters[i];
      pieces_.push_back(own.frozen ? parameter_block{i, 0, own.value.size()} : piece_of(i, rank));
      if (!own.frozen) {
        std::size_t const begin = pieces_[i].begin;
        std::size_t const count = pieces_[i].end - begin;
        own.value = own.value.subspan(begin, count);
        own.gradient = own.gradient.subspan(begin, count);
        own.shape = {};
      }
      own_.push_back(own);
    }
  }

  /// The numbers of a process, among all trained numbers end to end.
  [[nodiscard]] std::size_t begin_of(std::size_t rank) const { return begins_[rank]; }
  [[nodiscard]] std::size_t end_of(std::size_t rank) const { return begins_[rank + 1]; }

  /// The piece of this process of each parameter, by its name, empty where others have all of it. Frozen ones are whole.
  [[nodiscard]] std::span<parameter<T> const> own() const { return own_; }

  /// Replaces this process's share of the gradients by its sums over all processes. Others' shares keep what this
  /// process has in them.
  ///
  /// `room` is working memory of at most `bucket` numbers, or one for each process, kept from call to call.
  void sum_gradients(ShareCommunicator auto const& processes, std::vector<T>& room,
                     std::size_t bucket = std::size_t{1} << 20) {
    in_rounds(bucket, room, [&](std::span<std::size_t const> begins, std::span<T> all) {
      std::span<T> rest = all;
      for (std::size_t rank = 0; rank != counts_.size(); ++rank) {
        numbers_.read(&parameter<T>::gradient, begins[rank], rest.first(counts_[rank]));
        rest = rest.subspan(counts_[rank]);
      }
      processes.sum_shares(all, std::span<std::size_t const>(counts_));
      numbers_.write(&parameter<T>::gradient, begins[rank_], own_part_of(all));
    });
  }

  /// Replaces the values in others' shares by those of their processes.
  void gather_values(ShareCommunicator auto const& processes, std::vector<T>& room,
                     std::size_t bucket = std::size_t{1} << 20) {
    in_rounds(bucket, room, [&](std::span<std::size_t const> begins, std::span<T> all) {
      numbers_.read(&parameter<T>::value, begins[rank_], own_part_of(all));
      processes.gather_shares(all, std::span<std::size_t const>(counts_));
      std::span<T const> rest = all;
      for (std::size_t rank = 0; rank != counts_.size(); ++rank) {
        if (rank != rank_) {
          numbers_.write(&parameter<T>::value, begins[rank], rest.first(counts_[rank]));
        }
        rest = rest.subspan(counts_[rank]);
      }
    });
  }

  /// clip_gradient_norm of the sums on all processes, on this process's share: gives the norm of the whole.
  double clip(double max_norm, gradient_norm_memory& memory, Communicator auto const& processes,
              executor const& threads = {}) const {
    expects(max_norm > 0, "clip_gradient_norm: max_norm must be greater than zero");
    double const norm_of_all = norm(memory, processes, threads);
    detail::shorten(own(), norm_of_all, max_norm, memory, threads);
    return norm_of_all;
  }
  /// gradient_norm of the sums on all processes.
  [[nodiscard]] double norm(gradient_norm_memory& memory, Communicator auto const& processes,
                            executor const& threads = {}) const {
    detail::sum_squares(own(), memory, threads);
    // Order of rank is order of blocks.
    std::vector<double> const of_all = processes.all_gather(memory.sums);
    return detail::norm_of(of_all);
  }

  /// Adds to `file` what adamw::save adds where one process has the whole state; one process has a file, the others
  /// give their shares. The state of one parameter at a time is whole in memory.
  void save(adamw<T> const& of_own, archive_writer* file, std::string const& prefix,
            Communicator auto const& processes) const {
    if (file != nullptr) file->add(prefix + "step", of_own.steps());
    if (of_own.steps() == 0) return;
    std::vector<T> mean;
    std::vector<T> square;
    for (std::size_t i = 0; i != parameters_.size(); ++i) {
      auto const own = of_own.moments_of(i);
      mean.resize(numbers_.end_of(i) - numbers_.begin_of(i));
      square.resize(mean.size());
      for (std::size_t k = 0; k != own.mean.size(); ++k) {
        mean[pieces_[i].begin + k] = own.mean[k];
        square[pieces_[i].begin + k] = own.square[k];
      }
      for (std::size_t rank = 0; rank != counts_.size(); ++rank) {
        parameter_block const piece = piece_of(i, rank);
        std::size_t const count = piece.end - piece.begin;
        if (count == 0) continue;
        broadcast(std::span(mean).subspan(piece.begin, count), rank, processes);
        broadcast(std::span(square).subspan(piece.begin, count), rank, processes);
      }
      if (file != nullptr) {
        adamw<T>::save_moments(*file, prefix, std::string(parameters_[i].name),
                               {own.steps, mean, square});
      }
    }
  }

  /// Reads this process's share of what was saved, by one process or by any number of them.
  void load(adamw<T>& of_own, archive const& file, std::string const& prefix) const {
    of_own.load(file, parameters_, prefix, pieces_);
  }

 private:
  /// What a process has of a parameter that is not frozen.
  [[nodiscard]] parameter_block piece_of(std::size_t i, std::size_t rank) const {
    std::size_t const begin = detail::at_least(begins_[rank], numbers_.begin_of(i));
    std::size_t const end = detail::at_most(begins_[rank + 1], numbers_.end_of(i));
    if (begin >= end) return {i, 0, 0};
    return {i, begin - numbers_.begin_of(i), end - numbers_.begin_of(i)};
  }

  /// Goes through all shares at once, so many numbers of each at a time that all fit into a bucket: counts_ says how
  /// many, round(begins, room for them) where they are.
  template <class Round>
  void in_rounds(std::size_t bucket, std::vector<T>& room, Round&& round) {
    std::size_t const most = detail::at_least(bucket / counts_.size(), 1);
    std::vector<std::size_t> at(begins_.begin(), begins_.end() - 1);
    while (true) {
      std::size_t all = 0;
      for (std::size_t rank = 0; rank != counts_.size(); ++rank) {
        counts_[rank] = detail::at_most(most, begins_[rank + 1] - at[rank]);
        all += counts_[rank];
      }
      if (all == 0) return;
      if (room.size() < all) room.resize(all);
      round(std::span<std::size_t const>(at), std::span<T>(room).first(all));
      for (std::size_t rank = 0; rank != counts_.size(); ++rank) at[rank] += counts_[rank];
    }
  }

  std::span<T> own_part_of(std::span<T> all) const {
    std::size_t begin = 0;
    for (std::size_t rank = 0; rank != rank_; ++rank) begin += counts_[rank];
    return all.subspan(begin, counts_[rank_]);
  }

  std::span<parameter<T> const> parameters_;
  trained_numbers<T> numbers_;
  std::size_t rank_;
  std::vector<std::size_t> begins_ = {0};  // of each process's share, and the end of the last
  std::vector<parameter_block> pieces_;    // of this process, one of each parameter
  std::vector<parameter<T>> own_;          // the same as parameters
  std::vector<std::size_t> counts_;        // of numbers in a round, for each process
};

}  // namespace prefer::inline v0_1
